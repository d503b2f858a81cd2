"""The state of an environment as bytes, and one that does not fit into its place on the board."""

from types import SimpleNamespace

from rtrl_jax.board.layout import ENVIRONMENT_BYTES
from rtrl_jax.environments import saving
from rtrl_jax.stagger import Ticket


def state(console):
    ticket = Ticket(2)
    ticket.observe(3, used_network=True)
    world = SimpleNamespace(save=lambda: {"console": console})
    return saving.whole_state(world, ticket), {"console": console}, ticket.save()


def test_environment_and_ticket_come_back():
    data, environment, ticket = state(b"\x00\xff")
    assert saving.decode(data) == {"environment": environment, "ticket": ticket}


def test_what_does_not_fit_is_left_out_and_the_ticket_kept():
    data, _, ticket = state(bytes(ENVIRONMENT_BYTES))
    assert len(data) <= ENVIRONMENT_BYTES
    assert saving.decode(data) == {"environment": None, "ticket": ticket}
