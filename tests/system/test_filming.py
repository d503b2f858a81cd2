"""Runs that film themselves: as many pictures as ticks, and what is said if there can be no film."""

import json

import imageio.v2
import numpy as np


def test_a_film_of_atari_has_a_picture_for_each_tick(launch, tmp_path):
    run, film = tmp_path / "run", tmp_path / "film.mp4"
    flags = ["--environment=atari/Boxing", "--parameters=55K", "--max_ticks=150", "--learner_workers=0"]
    done = launch(*flags, "--epsilon_end=1", f"--run_dir={run}", f"--video={film}")
    assert done.returncode == 0, done.stderr
    assert "Warning" not in done.stderr
    assert str(film) in done.stderr.replace("\n", "")
    summary, ticks = json.loads((run / "summary.json").read_text()), np.load(run / "ticks.npz")
    assert summary["failures"] == []
    with imageio.v2.get_reader(film) as reader:
        frames = [np.array(frame) for frame in reader]  # list() would ask for their number, which is not known
        assert reader.get_meta_data()["fps"] == 60
    assert len(frames) == summary["ticks"] + summary["slipped_ticks"]
    assert summary["slipped_ticks"] == 0
    # Boxing is green in its middle, and the cell of the action in force is light where β acts.
    red, green, blue = np.asarray(frames[100][200:220, 230:250], float).mean(axis=(0, 1))
    assert green > max(red, blue)
    light = np.array([frame[-80:-36, 20:160].mean() for frame in frames]) > 160
    assert (light == ticks["is_default"]).all()
    again = launch(*flags, f"--run_dir={tmp_path}/again", f"--video={film}")
    assert again.returncode == 2
    assert "already" in again.stderr
    assert not (tmp_path / "again").exists()


def test_what_has_no_picture_cannot_be_filmed(launch, tmp_path):
    flags = ["--environment=gymnasium/CartPole-v1", f"--run_dir={tmp_path}/run", f"--video={tmp_path}/film.mp4"]
    done = launch(*flags)
    assert done.returncode == 2
    assert "no picture" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not list(tmp_path.iterdir())
