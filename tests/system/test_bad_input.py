"""Bad input at the command line: one line on stderr, exit status 2, and nothing written or overwritten."""

import pytest


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--environment=atari/Boxin"], "did you mean Boxing"),
        (
            ["--environment=gymnasium/Pendulum-v1", "--agent=dqn"],
            "vectors of 1 real numbers: leave it out, or give --agent=sac",
        ),
        (["--environment=gymnasium/CartPole-v1", "--agent=sac"], "the actions of gymnasium/CartPole-v1 are a choice"),
        (["--environment=gymnasium/Pendulum-v1", "--default_action=3"], "=3 is no action of gymnasium/Pendulum-v1"),
        (
            ["--environment=gymnasium/Pendulum-v1", "--default_action=hold"],
            "give noop, repeat, or the numbers of an action",
        ),
        (["--enviroment=atari/Boxing"], "Did you mean"),
        (["--duration_s=long"], "duration_s"),
        (["--stagger=best"], "stagger"),
        (["--flagfile=/no/such/file.flags"], "/no/such/file.flags"),
        (["--flagfile=duell"], "did you mean duel?"),
        (["--cores=0,4711"], "there is no core 4711"),
        (["--interaction=sequential", "--inference_workers=3"], "one agent process"),
        (["--network=mlp"], "does not take the images"),
        (["--environment=gymnasium/CartPole-v1", "--input_scale=byte"], "is of pixels"),
        (["--plan=xla:14"], "this network has 15"),
        (["--parameters=huge"], "1M"),
        (["--replay_capacity=9000000000"], "lower --replay_capacity"),
        (["--width=1e9"], "at most 1000"),
        (["--batch_size=999999999"], "between 1 and 65536"),
        (["--frame_stack=100000"], "between 1 and 256"),
        (["--environment_kwargs=continuous"], "JSON object"),
        (["--environment=atari/Boxing", "--encounters=random"], "one encounter alone"),
        (["boxing"], "is not a flag"),
    ],
)
def test_one_line_and_status_2(launch, tmp_path, flags, says):
    done = launch(*flags, f"--run_dir={tmp_path}/run")
    assert done.returncode == 2
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_folder_that_holds_a_run_is_left_alone(launch, tmp_path):
    (tmp_path / "summary.json").write_text("precious")
    done = launch(f"--run_dir={tmp_path}")
    assert done.returncode == 2
    assert "already holds" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["summary.json"]
    assert (tmp_path / "summary.json").read_text() == "precious"


def test_a_run_folder_that_is_a_file_or_under_one(launch, tmp_path):
    (tmp_path / "file").write_text("")
    for path in ("file", "file/run"):
        done = launch(f"--run_dir={tmp_path}/{path}")
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1


def test_help_lists_every_flag(launch):
    done = launch("--help")
    assert done.returncode == 0
    for flag in ("--environment", "--stagger", "--playout", "--inference_workers", "--learn_every", "--run_dir"):
        assert flag in done.stdout
