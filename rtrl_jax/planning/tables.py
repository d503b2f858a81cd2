"""A plan as a person reads it: what was measured, the ways of interacting side by side, and the command that runs it."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from rtrl_jax.planning.planner import WAYS

MOST_NAMES = 4  # of the processes on a core
# Name of a row, how it is found in a way's figures, what it means.
ROWS = [
    ("inference workers", lambda f: str(f["inference_workers"]), "processes that infer; N_I* act at every tick"),
    ("learners", lambda f: str(f["learners"]), "processes that update the network; N_L* keep up with --learn_every"),
    ("cores", lambda f: str(f["cores"]), "one each, and one for the environment"),
    ("inaction", lambda f: _share(f["inaction"]), "share of the ticks in which nothing but the default action β acts"),
    ("delay", lambda f: _delay(f), "ticks, and time, from an observation to the action computed from it"),
    ("updates a second", lambda f: _number(f["updates_per_s"]), "of the network; less than wanted is slower learning"),
    ("memory", lambda f: _size(f["memory"]["total"]), "of all processes of a long run, replay included"),
    ("lost to inaction", lambda f: _regret(f, "inaction_per_s"), "regret a second if every tick left to β loses 1"),
    (
        "lost to delay",
        lambda f: _regret(f, "delay_per_s"),
        "regret a second if an action is worth 1 only where the world has gone as expected (p_minimax)",
    ),
    ("lost to both", lambda f: _both(f), "of the reward there is to win: 1 a tick"),
    (
        "learning, 1 h",
        lambda f: _regret(f, "learning_first_hour"),
        "√(τ/τ_I), to compare: what learning costs even in a world that waits, up to a factor nobody knows",
    ),
]


def show(console: Console, plan: dict) -> None:
    """Args: plan: of `planning.measured.make`."""
    network = plan["network"]
    console.print(
        Text(
            f"{plan['environment']} at {plan['rate_hz']:g} Hz (a tick is {plan['tick_ms']:.4g} ms), "
            f"{network['name']} with {network['parameters']:,} parameters, p_minimax {plan['p_minimax']:g}"
        ),
        style="bold",
    )
    console.print(_timings(plan))
    for note in [plan[name]["note"] for name in ("tau_theta", "tau_l") if _extrapolated(plan[name])]:
        console.print(Text(f"extrapolated: {note}"), style="yellow")
    for machine in plan.get("machines", ()):
        trip = f"{machine['round_trip_p50_ms']:.2f} ms (p99 {machine['round_trip_p99_ms']:.2f}) there and back"
        console.print(Text(f"{machine['machine']}: {_count(machine['cores'], 'core')}, an observation takes {trip}"))
    console.print(_side_by_side(plan, "enough_cores", "With enough cores: as many workers as each way needs"))
    if all(ways["enough_cores"] == ways["given_cores"] for ways in plan["ways"].values()):
        console.print(f"{_count(plan['cores'], 'core')} are enough for each of them.")
    else:
        console.print(_side_by_side(plan, "given_cores", f"With {_count(plan['cores'], 'core')}"))
    console.print(Text(f"Cores: {plan['ways']['ticket']['given_cores']['split']}."))
    for note in _notes(plan):
        console.print(Text(note))
    meanings = Table.grid(padding=(0, 2))
    for name, _, meaning in ROWS:
        meanings.add_row(Text(name, style="dim"), Text(meaning, style="dim"))
    console.print(meanings)
    console.print("\nTo run it (ticket):", style="bold")
    console.print(plan["command"], soft_wrap=True, markup=False)  # one line, so that it can be copied


def _timings(plan: dict) -> Table:
    table = Table(box=None, pad_edge=False)
    for column, justify in (("", "left"), ("median", "right"), ("p99.5", "right"), ("max", "right"), ("", "left")):
        table.add_column(column, justify=justify)
    for name, label in (("tau_theta", "τ_θ, an inference"), ("tau_l", "τ_L, an update")):
        if figures := plan[name]:
            how = figures["how"] if _extrapolated(figures) else f"{figures['how']}: {figures['note']}"
            times = [_ms(figures[key]) for key in ("p50_ms", "p995_ms", "max_ms")]
            table.add_row(label, *times, escape(how))
    return table


def _side_by_side(plan: dict, which: str, title: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column("")
    for way, label in WAYS.items():
        table.add_column(label, justify="right", style="bold" if way == "ticket" else "", min_width=11)
    for name, value, _ in ROWS:
        if plan["tau_l"] is None and name in ("learners", "updates a second"):
            continue
        table.add_row(name, *(value(plan["ways"][way][which]) for way in WAYS))
    return table


def _notes(plan: dict) -> list[str]:
    """What the figures do not say by themselves."""
    notes, tau = [], plan["tau_theta"]
    ticket, expected = plan["ways"]["ticket"], plan["ways"]["expected_time"]
    if plan["learn_every"]:
        sequential = plan["ways"]["sequential"]["given_cores"]
        if sequential["updates_per_s"] < 0.99 * sequential["updates_wanted_per_s"]:
            wanted = f"{sequential['updates_wanted_per_s']:.3g} updates a second"
            notes.append(f"--learn_every={plan['learn_every']} ({plan['learn_per']}s) asks for {wanted}.")
    if tau["max_ms"] > tau["p50_ms"] * 1.001 and expected["enough_cores"]["inference_workers"] > 1:
        notes.append(
            f"τ_θ varies, so Algorithm 2's phases drift apart: with random phases e^(−N τ_M/τ̄) = "
            f"{_share(expected['poisson_inaction'])} of the ticks get no answer, more where answers overtake each other."
        )
    if (ticket["enough_cores"]["inaction"] or 0) > 0.03:
        notes.append(
            "An answer that takes a whole number of ticks just misses the last: give the tickets a worker more."
        )
    if tau["max_ms"] > 1.5 * tau["p995_ms"]:
        notes.append(
            "One inference took far longer than the others, and Algorithm 1 waits for it: see --stagger_quantile."
        )
    notes.append(
        f"Ticket: decisions act after D = {_count(ticket['playout_ticks'], 'tick')} (the 0.995 quantile of ⌈τ_θ/τ_M⌉)."
    )
    late, without = ticket["late_head_workers"], ticket["enough_cores"]["inference_workers"]
    if ticket["playout_ticks"] > 1:
        notes.append(
            f"With --pending=late they take {_count(late, 'worker')} ({late - without} more), and each action is decided knowing "
            "all those before it: what delay costs is then what the world does by itself, nothing of what the agent did."
        )
    if plan["layout"]:
        places = (f"core {core}: {_some(names)}" for core, names in plan["layout"].items() if names)
        notes.append(f"Tickets on this machine's cores, in the order they are given out: {'; '.join(places)}.")
    return notes


def _some(names: list[str]) -> str:
    return ", ".join(names[:MOST_NAMES]) + (f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else "")


def _extrapolated(figures: dict | None) -> bool:
    return bool(figures) and figures["how"] == "extrapolated"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'s' * (number != 1)}"


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"


def _ms(value: float) -> str:
    return f"{value / 1e3:.3g} s" if value >= 1e3 else f"{value:.3g} ms"


def _delay(figures: dict) -> str:
    if figures["delay_ticks"] is None:
        return "–"
    return f"{_number(figures['delay_ticks'])}, {_ms(figures['delay_ms'])}"


def _size(number: int) -> str:
    return f"{_number(number / 2**30)} GiB"


def _both(figures: dict) -> str:
    terms = figures["regret"]
    return _number(terms and terms["inaction_per_s"] + terms["delay_per_s"])


def _regret(figures: dict, name: str) -> str:
    return _number(figures["regret"] and figures["regret"][name])
