"""Draws every picture of results/ anew, and writes the pages of results/paper, from the tables that are committed there.

rtrl-figures                                  both, in results/
rtrl-figures --only=regret --ending=pdf --out=FOLDER   pictures whose name has "regret" in it, for a paper
"""

import pathlib

from absl import flags

from rtrl_jax.errors import UserError
from rtrl_jax.flags import run_command

RESULTS = flags.DEFINE_string("results", "results", "the folder of tables, templates and pages")
ONLY = flags.DEFINE_string("only", "", "only pictures and pages whose path has this in it")
OUT = flags.DEFINE_string("out", None, "another folder for the pictures; then no pages are written")
ENDING = flags.DEFINE_enum("ending", "png", ["png", "svg", "pdf"], "the kind of picture")


def main() -> None:
    results = pathlib.Path(RESULTS.value).expanduser()
    if not results.is_dir():
        raise UserError(f"--results={RESULTS.value} is no folder: run this in a checkout, or name its results/")
    if ENDING.value != "png" and not OUT.value:
        raise UserError(f"--ending={ENDING.value} needs --out=FOLDER: results/ has .png")

    from rtrl_jax.figures import catalogue

    made = 0
    for name, picture in catalogue.PICTURES.items():
        if ONLY.value in name:
            missing = [source for source in picture.sources if not (results / source).exists()]
            if missing:
                print(f"{name} is not drawn: there is no {', '.join(missing)}")
                continue
            path = pathlib.Path(OUT.value).expanduser() / name if OUT.value else results / name
            _draw(picture, results, path.with_suffix(f".{ENDING.value}"))
            made += 1
    if not OUT.value:
        for name, page in catalogue.PAGES.items():
            if ONLY.value in name:
                _write(results, name, page.facts(results))
                made += 1
    if not made:
        raise UserError(f"--only={ONLY.value}: there is none of: {', '.join([*catalogue.PICTURES, *catalogue.PAGES])}")


def _draw(picture, results: pathlib.Path, path: pathlib.Path) -> None:
    from rtrl_jax.figures import catalogue, column
    from rtrl_jax.plots import style
    from rtrl_jax.telemetry import files

    path.parent.mkdir(parents=True, exist_ok=True)
    # No date and no version, so that the same tables make the same file.
    about = {
        "png": {catalogue.DIGEST: catalogue.digest(results, picture.sources), "Software": None},
        "svg": {"Date": None},
        "pdf": {"CreationDate": None},
    }[path.suffix[1:]]
    with style.plt.rc_context(column.TEXT):
        figure = picture.draw(results)
        files.write_atomically(
            path,
            lambda file: figure.savefig(file, format=path.suffix[1:], dpi=column.DPI, metadata=about),
        )
    style.plt.close(figure)
    print(path)


def _write(results: pathlib.Path, name: str, facts: dict[str, str]) -> None:
    from rtrl_jax.figures import catalogue, pages
    from rtrl_jax.telemetry import files

    template = pathlib.Path(name).name
    text = (results / catalogue.TEMPLATES / template).read_text()
    files.write_text(results / name, pages.fill(template, text, facts))
    print(results / name)


def command() -> int:
    return run_command(main)
