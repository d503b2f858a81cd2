"""Every flagfile can be read and says something sensible."""

import pytest
from absl import flags
from conftest import ROOT

from rtrl_jax import environments
from rtrl_jax.flags import define_flags
from rtrl_jax.settings import Settings


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.flags")), ids=lambda path: path.stem)
def test_flagfile(path, monkeypatch):
    monkeypatch.setattr(flags, "FLAGS", flags.FlagValues())
    for name in ("DEFINE_string", "DEFINE_integer", "DEFINE_float", "DEFINE_bool", "DEFINE_enum"):
        original = getattr(flags, name)
        monkeypatch.setattr(
            flags, name, lambda *args, original=original: original(*args, flag_values=flags.FLAGS), raising=True
        )
    define_flags(Settings)
    flags.FLAGS(["test", f"--flagfile={path}"])
    Settings(**{name: flags.FLAGS[name].value for name in Settings.__dataclass_fields__}).check()
    name = flags.FLAGS["environment"].value
    assert name in environments.GAME_BOY or name.split("/")[0] in ("atari", "gymnasium")


def test_rainbow_s_support_holds_boxing_s_returns():
    """From −100 to 100, and discounting makes none larger."""
    for path in (ROOT / "configs").rglob("*boxing*rainbow*.flags"):
        given = dict(line.strip("-").split("=") for line in path.read_text().splitlines() if line.startswith("--"))
        assert float(given["value_min"]) <= -100 < 100 <= float(given["value_max"]), path


def test_there_is_one_for_every_game_boy_game_and_setting():
    texts = [path.read_text() for path in (ROOT / "configs").glob("*.flags")]
    for name in environments.GAME_BOY:
        assert any(f"--environment={name}\n" in text for text in texts), name
