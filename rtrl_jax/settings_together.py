"""Which settings contradict each other: what the facts of one alone cannot say.

`settings_fields.py` has what they can: bounds, and what a setting belongs to.
"""

from rtrl_jax import addresses
from rtrl_jax.agents.variant import VALUES

LONGEST_PLAYOUT = 8192


def contradictions(settings) -> list[tuple[bool, str]]:
    """Of each contradiction that there can be, whether `settings` has it, and the line that says so.

    Args: settings: a `Settings` whose fields are each right by itself.
    """
    period = settings.scheduled_period
    one_process = f"--interaction={settings.interaction} has one agent process"
    return [
        (
            settings.width is not None and settings.parameters is not None,
            "--width and --parameters say the same: give one",
        ),
        (
            settings.frame_stack_stride > 1 and settings.frame_stack == 1,
            f"--frame_stack_stride={settings.frame_stack_stride} says how far apart observations are that are seen at once: "
            "give a --frame_stack of 2 or more",
        ),
        (
            (settings.press_frames or 1) > settings.frame_skip,
            f"--press_frames={settings.press_frames}: a tick has no more frames than --frame_skip={settings.frame_skip}",
        ),
        (
            settings.frame_skip > 1 and settings.demonstrations is not None,
            f"--frame_skip={settings.frame_skip}: demonstrations have every frame, so leave one of the two out",
        ),
        (
            settings.action_hold > 1 and settings.demonstrations is not None,
            f"--action_hold={settings.action_hold}: demonstrations have an action for every tick, so leave one of the two out",
        ),
        (
            settings.value_min >= settings.value_max,
            f"--value_min={settings.value_min:g} must be less than --value_max={settings.value_max:g}",
        ),
        (
            settings.replay_capacity is not None
            and settings.learns
            and settings.learn_start > settings.replay_capacity,
            f"--learn_start={settings.learn_start}: at most --replay_capacity={settings.replay_capacity}",
        ),
        (
            period is not None and settings.learn_every not in (0, None, VALUES["learn_every"], period),
            f"--learning_schedule=every:{period} and --learn_every={settings.learn_every} contradict each other: give one",
        ),
        (
            (settings.playout_ticks or 0) > LONGEST_PLAYOUT,
            f"--playout={settings.playout}: at most {LONGEST_PLAYOUT} ticks",
        ),
        (
            settings.is_sequential and str(settings.inference_workers) not in ("1", "auto"),
            f"{one_process}: leave --inference_workers at 1",
        ),
        (
            settings.is_sequential and str(settings.learner_workers) not in ("0", "1"),
            f"{one_process}, which learns: leave --learner_workers at 1",
        ),
        (
            settings.is_sequential and settings.cluster_address is not None,
            f"{one_process}, which stays with the environment: leave out --cluster",
        ),
        (
            settings.learners_on != "environment" and settings.demonstrations is not None,
            "--demonstrations are on the environment's machine, and so is who learns from them: leave out --learners_on",
        ),
        (
            settings.learners_on != "environment" and not settings.learns,
            f"--learners_on={settings.learners_on}: nothing is learned here: leave it out",
        ),
        (
            settings.cluster_address is not None and settings.device != "cpu",
            f"--device={settings.device} has all inference on one machine: leave out --cluster",
        ),
        (
            settings.is_sequential and settings.workers_per_process > 1,
            f"{one_process}: leave --workers_per_process at 1",
        ),
        (
            "units" in settings.departures
            and (settings.learn_unit != "decision" or settings.epsilon_unit != "decision"),
            f"--accounting={settings.accounting} counts updates and ε by decisions: leave out --learn_per and --epsilon_per",
        ),
        (
            settings.cadence is not None and (settings.stagger, str(settings.playout)) != ("ticket", "auto"),
            f"--accounting={settings.accounting} says itself when decisions act: leave out --stagger and --playout",
        ),
        (
            settings.cadence is not None and settings.learns_first,
            f"--accounting={settings.accounting} knows no order of inference and learning: give --interaction=sequential",
        ),
        (
            settings.action_hold > 1 and bool(settings.departures),
            f"--action_hold={settings.action_hold}: the paper's code, --accounting={settings.accounting}, decides for one tick: "
            "leave one of the two out",
        ),
        (
            settings.pending != "none" and bool(settings.departures),
            f"--pending={settings.pending}: the paper's code, --accounting={settings.accounting}, tells agents nothing: "
            "leave one of the two out",
        ),
        (
            settings.pending != "none" and settings.policy != "agent",
            f"--pending={settings.pending} is of a network, which --policy={settings.policy} has none of: leave it out",
        ),
        (
            settings.learns_first and settings.learns and settings.learning_is_scheduled,
            f"--interaction={settings.interaction} has no effect where updates are scheduled and take no time: "
            "give --learning_schedule=asynchronous and --learning_latency_ms, or --interaction=sequential",
        ),
        (
            settings.page is not None and settings.display == "none" and not addresses.is_loopback(settings.page_host),
            "--display=none would not say the token that --page_host asks for: leave it out",
        ),
    ]
