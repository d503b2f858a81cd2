"""What a grid and a list of seeds name, and what is wrong with one."""

import dataclasses

import pytest

from rtrl_jax.errors import UserError
from rtrl_jax.settings import Settings
from rtrl_jax.sweeps import grid


def test_a_grid_is_all_combinations_with_values_of_their_types():
    found = grid.cells(["delay=1,4; --interaction = async,sequential;double_q=true"])
    assert [cell.values for cell in found] == [
        {"delay": delay, "interaction": interaction, "double_q": True}
        for delay in (1, 4)
        for interaction in ("async", "sequential")
    ]
    assert found[0].name == "delay-1-interaction-async-double_q-true"
    assert grid.cells(["inference_workers=4;width=0.25"])[0].values == {"inference_workers": "4", "width": 0.25}


def test_several_grids_are_the_cells_of_them_all_each_once():
    found = grid.cells(["base", "n_steps=1,5", "double_q=true", "n_steps=5"])
    assert [cell.values for cell in found] == [{}, {"n_steps": 1}, {"n_steps": 5}, {"double_q": True}]
    assert [cell.name for cell in found] == ["base", "n_steps-1", "n_steps-5", "double_q-true"]
    assert grid.cells([]) == [grid.Cell("base", {})]


def test_what_holds_a_comma_or_a_semicolon_is_quoted():
    found = grid.cells(["""inference_latency_ms=4,"normal:58,2";environment_kwargs={},'{"a": 1, "b": 2}'"""])
    assert [list(cell.values.values()) for cell in found] == [
        ["4", "{}"],
        ["4", '{"a": 1, "b": 2}'],
        ["normal:58,2", "{}"],
        ["normal:58,2", '{"a": 1, "b": 2}'],
    ]


def test_names_are_names_of_files_and_differ():
    found = grid.cells(["environment=toy/chain-0.9,toy/chain/0.9;demonstrations=a,../b"])
    names = [cell.name for cell in found]
    assert len(set(names)) == 4
    assert names[0] == "environment-toy-chain-0.9-demonstrations-a"
    assert not any(set(name) & set("/\\=,;'\" ") or name.startswith(".") for name in names)
    long = grid.cells([f"demonstrations={300 * 'a'},{300 * 'a'}b"])
    assert len({cell.name for cell in long}) == 2
    assert all(len(cell.name) < 200 for cell in long)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("dealy=1", "no flag --dealy; did you mean delay"),
        ("delay=1,,4", "--delay has an empty value"),
        ("delay=", "--delay has an empty value"),
        ("delay=''", "--delay has an empty value"),
        ("delay=1;", "write flag=value"),
        ("", "write flag=value"),
        ("delay", "write flag=value"),
        ("delay=1,1", "--delay has a value twice"),
        ("delay=1;delay=4", "--delay is there twice"),
        ("seed=1,2", "give --seeds"),
        ("run_dir=a,b", "of one run alone"),
        ("""environment_kwargs={"a": 1}""", "in quotes"),
    ],
)
def test_what_is_wrong_with_a_grid(text, says):
    with pytest.raises(UserError) as error:
        grid.cells([text])
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_value_of_another_type_is_named_by_the_check_of_settings():
    for text, says in (("delay=soon", "--delay='soon': it should be a whole number"), ("noisy=so", "true or false")):
        (cell,) = grid.cells([text])
        with pytest.raises(UserError, match=says):
            dataclasses.replace(Settings(), **cell.values).check()


def test_seeds():
    assert grid.seeds("0-4") == [0, 1, 2, 3, 4]
    assert grid.seeds("7, 0-1") == [7, 0, 1]


@pytest.mark.parametrize(
    "text", ["0,0", "0-2,1", "", "a", "3-1", "1-", "-1", "0,", "0-5000000000", "99999999999", "0.5"]
)
def test_what_is_wrong_with_seeds(text):
    with pytest.raises(UserError) as error:
        grid.seeds(text)
    assert f"--seeds={text}" in str(error.value)
