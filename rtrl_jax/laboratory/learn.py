"""An agent learns in a delayed world, and is then evaluated: two scans, pure, to be vectorised over seeds and latencies.

The agents, the optimiser and the update are those of the real system (`rtrl_jax.agents`). Learning takes no time here, and an
exploratory action as long as a greedy one.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from rtrl_jax.agents import agent as agents
from rtrl_jax.agents import dqn
from rtrl_jax.laboratory import semi_mdp, timing
from rtrl_jax.laboratory.worlds import World
from rtrl_jax.networks.encoder import Encoder
from rtrl_jax.networks.heads import VALUES, action_values
from rtrl_jax.networks.hidden import Relu
from rtrl_jax.pending import Pending


class Settings(NamedTuple):
    """Sized for the laboratory's worlds. Discount, learning rate, clip and ε are the paper's (section 5, A.3)."""

    steps: int = 100_000  # ticks of learning
    evaluation: int = 10_000  # ticks, greedy, with the last parameters
    learn_every: int = 4  # ticks
    learn_start: int = 1000  # ticks
    batch_size: int = 32
    learning_rate: float = 1e-3
    gradient_clip: float = 10.0
    gamma: float = 0.99
    per_tick: bool = False  # whether γ is per tick, else per decision
    target_every: int = 250  # updates
    epsilon_end: float = 0.05
    exploring: float = 0.4  # share of the steps in which ε falls from 1
    capacity: int = 20_000  # transitions
    units: int = 64  # of the trunk, and of the head's hidden layer


class Replay(NamedTuple):
    """The most recent transitions; the row after the last of the ring is for what is not one."""

    rows: semi_mdp.Transition  # [capacity + 1, …]
    written: jax.Array  # [] int32


class Learner(NamedTuple):
    play: semi_mdp.Play
    replay: Replay
    state: agents.State


class Score(NamedTuple):
    """Of some ticks."""

    returns: Any  # [] float32, sum over the episodes that ended
    episodes: Any  # [] int32, that ended
    episode: Any  # [] float32, return so far of the one that goes on
    acted: Any  # [] int32, ticks at which a decision acted
    delays: Any  # [] float32, sum of theirs


NOTHING = Score(jnp.float32(0), jnp.int32(0), jnp.float32(0), jnp.int32(0), jnp.float32(0))


class Network(nn.Module):
    """A trunk of one dense layer, and a head that sees the trunk's features and what is told. Without that it is `networks.MLP`.

    [batch, features + length] int8, views -> [batch, actions] float32.
    """

    features: int
    actions: int
    units: int
    encoding: str

    @nn.compact
    def __call__(self, views: jax.Array) -> jax.Array:
        bits, told = views[:, : self.features].astype(jnp.float32), views[:, self.features :]
        x = Relu()(nn.Dense(self.units)(bits))
        if told.shape[1]:
            x = jnp.concatenate([x, Encoder(self.actions, self.encoding)(told)], axis=1)
        return action_values(x, self.actions, self.units, VALUES, names=("Dense_1", "Dense_2"))


def make_agent(world: World, settings: Settings, pending: Pending):
    """(network, DQN of it), which take views."""
    network = Network(world.features, world.actions, settings.units, pending.encoding)
    return network, dqn.make(network.apply)


def train(
    world: World, settings: Settings, window: int, manner: semi_mdp.Manner, latency: timing.Latency, key: jax.Array
):
    """Learns for `settings.steps` ticks.

    Args:
      window: at least the longest inference, in ticks.
      latency, key: of this one agent; batched by `vmap`.

    Returns:
      the parameters.
    """
    network, agent = make_agent(world, settings, manner.pending)
    optimiser = agents.make_optimiser(settings.learning_rate, settings.gradient_clip)
    improve = agents.update(agent, optimiser, settings.target_every)
    epsilon = linear_epsilon(settings)
    play_key, first_key, tick_key, batch_key = jax.random.split(key, 4)
    parameters = network.init(first_key, jnp.zeros((1, world.features + manner.pending.length), jnp.int8))["params"]
    learner = Learner(
        semi_mdp.start(world, window, manner, play_key),
        empty_replay(world, settings.capacity, manner.pending.length),
        agents.init(parameters, optimiser),
    )

    def one_tick(learner: Learner, number):
        chance_key, key = jax.random.split(jax.random.fold_in(tick_key, number))
        decide = epsilon_greedy(world, agent, learner.state.parameters, epsilon(number), chance_key)
        play, _, completed = semi_mdp.tick(world, learner.play, number, latency, decide, manner, key)
        replay = learner.replay
        for there, transition in completed:
            replay = append(replay, there, transition)
        return learner._replace(play=play, replay=replay), None

    def one_update(learner: Learner, numbers):
        learner, _ = jax.lax.scan(one_tick, learner, numbers)
        batch = sample(learner.replay, jax.random.fold_in(batch_key, numbers[0]), settings.batch_size)
        state, _, _ = improve(learner.state, batch, jnp.uint32(0))
        return learner._replace(state=state), None

    learner, _ = jax.lax.scan(one_tick, learner, jnp.arange(settings.learn_start))
    updates = (settings.steps - settings.learn_start) // settings.learn_every
    numbers = settings.learn_start + jnp.arange(updates * settings.learn_every).reshape(updates, settings.learn_every)
    learner, _ = jax.lax.scan(one_update, learner, numbers)
    return learner.state.parameters


def evaluate(
    world: World,
    settings: Settings,
    window: int,
    manner: semi_mdp.Manner,
    latency: timing.Latency,
    parameters,
    epsilon,
    key,
) -> Score:
    """Plays `settings.evaluation` ticks from a new start. Args: epsilon: 0 for the greedy policy, 1 for a random one."""
    _, agent = make_agent(world, settings, manner.pending)
    play_key, tick_key = jax.random.split(key)

    def one_tick(carry, number):
        play, score = carry
        chance_key, key = jax.random.split(jax.random.fold_in(tick_key, number))
        decide = epsilon_greedy(world, agent, parameters, epsilon, chance_key)
        play, record, _ = semi_mdp.tick(world, play, number, latency, decide, manner, key)
        return (play, add(score, number, record)), None

    start = semi_mdp.start(world, window, manner, play_key), NOTHING
    (_, score), _ = jax.lax.scan(one_tick, start, jnp.arange(settings.evaluation))
    return score


def linear_epsilon(settings: Settings):
    """ε as a function of ticks, here a traced number, which `agents.exploration.linear` does not take."""
    falling = max(1, round(settings.exploring * settings.steps))
    return lambda number: jnp.maximum(settings.epsilon_end, 1 - (1 - settings.epsilon_end) * number / falling)


def epsilon_greedy(world: World, agent: agents.Agent, parameters, epsilon, key):
    """view [features + length] int8 -> action [] int32."""
    chance_key, action_key = jax.random.split(key)

    def decide(observation):
        greedy = agent.act(parameters, observation, jnp.uint32(0))
        anything = jax.random.randint(action_key, (), 0, world.actions)
        return jnp.where(jax.random.uniform(chance_key) < epsilon, anything, greedy).astype(jnp.int32)

    return decide


def add(score: Score, number, record: semi_mdp.Record) -> Score:
    """The score with one more tick."""
    ended, acted = record.terminated | record.truncated, record.obs_tick != timing.NEVER
    episode = score.episode + record.reward
    return Score(
        score.returns + jnp.where(ended, episode, 0.0),
        score.episodes + ended,
        jnp.where(ended, 0.0, episode),
        score.acted + acted,
        score.delays + jnp.where(acted, number - record.obs_tick, 0),
    )


def empty_replay(world: World, capacity: int, length: int = 0) -> Replay:
    views, number = jnp.zeros((capacity + 1, world.features + length), jnp.int8), jnp.zeros(capacity + 1)
    return Replay(semi_mdp.Transition(views, number.astype(jnp.int32), number, number, views), jnp.int32(0))


def append(replay: Replay, there: jax.Array, transition: semi_mdp.Transition) -> Replay:
    """The replay with `transition` in it, if there is one."""
    capacity = replay.rows.action.shape[0] - 1
    place = jnp.where(there, replay.written % capacity, capacity)
    rows = jax.tree.map(lambda ring, row: ring.at[place].set(row), replay.rows, transition)
    return Replay(rows, replay.written + there)


def sample(replay: Replay, key: jax.Array, batch_size: int) -> agents.Batch:
    """Uniformly, with replacement. Weights are 0 while there is nothing to draw from: no decision may have acted yet."""
    held = jnp.minimum(replay.written, replay.rows.action.shape[0] - 1)
    chosen = jax.random.randint(key, (batch_size,), 0, jnp.maximum(held, 1))
    drawn = jax.tree.map(lambda ring: ring[chosen], replay.rows)
    return agents.Batch(*drawn, weight=jnp.full(batch_size, held > 0, jnp.float32))
