"""Rainbow (Hessel et al. 2018), as the paper uses it (Appendix A.3); each part of it can be left out.

Here are double Q-learning, the distribution of returns, the keys of the noise and, which Rainbow has not, the action gap. The
dueling streams and the noisy layers are the network's (`networks.heads`), n-step returns and priorities the replay's.
"""

import jax
import jax.numpy as jnp

from rtrl_jax.agents import losses
from rtrl_jax.agents.agent import Agent, Batch, Signals, batch_of_one, signals


def make(
    apply,
    *,
    double_q: bool,
    noisy: bool,
    support: tuple[float, float, int] | None,
    one_step: bool = False,
    action_gap: float = 0.0,
) -> Agent:
    """The errors that its loss returns are priorities: cross-entropies with a distribution, else |TD errors|.

    With a distribution, values and targets in its `Signals` are of the distributions' means. Targets are of n decisions.

    Args:
      apply: a Flax module's `apply`, from [B, *observation shape] (or `pending.Seen`) to values [B, actions], or logits
        [B, actions, atoms].
      double_q: the online network chooses the next action that the target network values.
      noisy: the network has noisy layers.
      support: (lowest return, highest return, number of atoms) if the network answers with logits, else None.
      one_step: the loss over n decisions and that over one are added up, as in the paper's code; so are their errors.
      action_gap: α of advantage learning (Bellemare et al. 2016, equation 7; Baird 1999): that much of what an action was worth
        less than the best, by the target network, is taken off its target. The best action stays the best, and the others
        are 1 / (1 - α) times as far below it.
    """
    atoms = None if support is None else jnp.linspace(*support)

    def outputs(parameters, observation, key):
        generators = {"rngs": {"noise": key}} if noisy else {}
        return apply({"params": parameters}, observation, **generators)

    def means(q):
        return q if atoms is None else jax.nn.softmax(q) @ atoms

    def below_best(parameters, batch: Batch, key):
        """[B] how much less each action taken is worth than the best there."""
        q = means(outputs(parameters, batch.observation, key))
        return q.max(1) - jnp.take_along_axis(q, batch.action[:, None], 1)[:, 0]

    def act(parameters, observation, seed):
        return jnp.argmax(means(outputs(parameters, batch_of_one(observation), jax.random.key(seed)))[0])

    def loss(parameters, target_parameters, batch: Batch, seed):
        """Weighted mean, of Huber losses or of cross-entropies."""
        online, selecting, valuing = jax.random.split(jax.random.key(seed), 3)  # three draws of noise, independent
        q_tm1 = outputs(parameters, batch.observation, online)
        lost = action_gap * below_best(target_parameters, batch, valuing) if action_gap else 0.0

        def over(ahead):
            """Losses [B] and `Signals`. Args: ahead: what comes of the decisions, n or one later."""
            q_t = outputs(target_parameters, ahead.next_observation, valuing)
            selector = means(outputs(parameters, ahead.next_observation, selecting) if double_q else q_t)
            transition = (q_tm1, batch.action, ahead.reward - lost, ahead.discount, q_t, selector)
            if atoms is None:
                errors = jax.vmap(losses.double_q_learning)(*transition)
                return losses.huber(errors), signals(q_tm1, batch.action, errors)
            each = jax.vmap(losses.categorical_double_q_learning, (None,) + 6 * (0,))(atoms, *transition)
            q = means(jax.vmap(lambda logits, action: logits[action])(q_tm1, batch.action))
            target_q = jax.vmap(losses.categorical_target, (None,) + 4 * (0,))(atoms, *transition[2:]) @ atoms
            return each, Signals(each, q.mean(), target_q.mean(), jnp.abs(target_q - q).mean())

        each, said = over(batch)
        if one_step:
            more, of_one = over(batch.one_step)
            each, said = each + more, said._replace(errors=said.errors + of_one.errors)
        return jnp.mean(batch.weight * each), said

    return Agent(act, loss)
