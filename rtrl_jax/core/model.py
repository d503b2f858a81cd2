"""The model: what settings make of a network for a world. Shapes, agent, optimiser, convolution plan and compiled functions.

It is plain data that every process is told; what takes JAX is worked out where it is asked for.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from rtrl_jax.agents.variant import Variant, learning_rate, variant_of
from rtrl_jax.environments import Spec
from rtrl_jax.errors import UserError
from rtrl_jax.pending import DTYPE, UNTOLD, Pending, Seen
from rtrl_jax.settings import Settings


@dataclass(frozen=True)
class Model:
    settings: Settings
    spec: Spec
    network: str  # one of `networks.NAMES`
    width: float  # the paper's k
    plan: tuple | None = None  # how the network convolves, a `networks.fast.Plan`, of --plan; None: as Flax does

    @cached_property
    def variant(self) -> Variant:
        """Of the agent."""
        return variant_of(self.settings)

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """What the network sees: frames stacked on the last axis."""
        *shape, channels = self.spec.observation_shape
        return (*shape, channels * self.settings.frame_stack)

    @cached_property
    def pending(self) -> Pending | None:
        """What the network is told of the agent's own actions, if anything."""
        settings, spec = self.settings, self.spec
        if not settings.told:
            return None
        actions = max(spec.actions, 1 + spec.default_action)
        return Pending(settings.pending, settings.told, settings.pending_encoding, actions)

    def blank(self, *rows: int):
        """Observations, and what is told with them, that say nothing: [*rows, *observation_shape], or `Seen`."""
        frames = np.zeros((*rows, *self.observation_shape), self.spec.observation_dtype)
        return Seen(frames, self.nothing_told(*rows)) if self.pending else frames

    def nothing_told(self, *rows: int) -> np.ndarray:
        """[*rows, length]."""
        return np.full((*rows, self.pending.length), UNTOLD, DTYPE)

    @cached_property
    def module(self):
        """The Flax module."""
        from rtrl_jax import networks

        settings, heads = self.settings, self.variant.heads(self.pending)
        return networks.build(self.network, self.spec.actions, self.width, heads, settings.input_scale)

    @cached_property
    def shapes(self):
        """The tree of parameters, with a `jax.ShapeDtypeStruct` at each leaf."""
        from rtrl_jax.networks import parameters

        return parameters.shapes(self.module, self.observation_shape, self.spec.observation_dtype)

    @cached_property
    def structure(self):
        """Of that tree."""
        import jax

        return jax.tree.structure(self.shapes)

    @cached_property
    def parameter_count(self) -> int:
        from rtrl_jax.networks import parameters

        return parameters.count(self.shapes)

    @cached_property
    def optimiser(self):
        """The `optax.GradientTransformation`."""
        from rtrl_jax.agents.agent import make_optimiser

        settings = self.settings
        return make_optimiser(
            learning_rate(settings, self.spec),
            settings.gradient_clip,
            warm_up=settings.learning_rate_warmup,
            epsilon=settings.adam_epsilon,
        )

    @cached_property
    def optimiser_shapes(self):
        """The tree of the optimiser's state, shapes at its leaves."""
        import jax

        return jax.eval_shape(self.optimiser.init, self.shapes)

    @cached_property
    def fast(self):
        """The `networks.fast.Plan`, or None."""
        from rtrl_jax.networks import fast

        return fast.Plan(*self.plan) if self.plan else None

    @cached_property
    def prepared_shapes(self) -> list:
        """Of what the plan adds to a snapshot, for inference alone."""
        import jax

        return jax.eval_shape(self.prepare, self.shapes)

    def prepare(self, tree) -> list:
        """What the plan adds to a snapshot of these parameters."""
        from rtrl_jax.networks import fast

        return fast.prepare(fast.kernels(tree, self.fast), self.fast) if self.fast else []

    def acting_agent(self):
        """The `Agent` whose `act` takes a snapshot's parameters, with what has been prepared."""
        from rtrl_jax.networks import fast

        return self.variant.make(fast.acting(self.module, self.fast) if self.fast else self.module.apply)

    def trunk(self):
        """Of a network with a late head: (a snapshot's parameters, observation [*observation_shape]) -> features [units]."""
        from rtrl_jax.networks import fast

        apply = fast.acting(self.module, self.fast) if self.fast else self.module.apply
        return lambda parameters, observation: apply({"params": parameters}, observation[None])[0]

    def head(self):
        """And the other part: (parameters, `Seen` of features, seed) -> action. Of the parameters it takes those it has."""
        import jax

        from rtrl_jax import networks

        module = networks.head_of(self.module)
        act = jax.jit(self.variant.make(module.apply).act)
        units = jax.eval_shape(
            lambda tree, observation: self.module.apply({"params": tree}, observation)[0],
            self.shapes,
            self.blank(1).observation,
        )
        seen = Seen(np.zeros((1, *units.shape), units.dtype), self.nothing_told(1))
        keys = {name: jax.random.key(0) for name in ("params", "noise")}
        own = tuple(jax.eval_shape(module.init, keys, seen)["params"])
        return lambda parameters, seen, seed: act({name: parameters[name] for name in own}, seen, seed)

    def learning_agent(self):
        """The `Agent` whose `loss` takes plain parameters."""
        return self.variant.make(self.learning_apply())

    def learning_apply(self):
        """The network as a learner computes it, of plain parameters."""
        from rtrl_jax.networks import fast

        return fast.learning(self.module, self.fast) if self.fast else self.module.apply

    def first_state(self) -> tuple[list, list]:
        """First values of the parameters and of the optimiser's state (Adam's are zeros), as lists of leaves."""
        import jax

        from rtrl_jax.networks import parameters

        state = jax.tree.leaves(self.optimiser_shapes)
        settings = self.settings
        values = parameters.initialise(self.shapes, settings.seed, settings.initialisation, settings.zero_head)
        return jax.tree.leaves(values), [np.zeros(leaf.shape, leaf.dtype) for leaf in state]


def choose(settings: Settings, spec: Spec) -> Model:
    """Works out the network, its width and its plan. Raises UserError if the network does not fit the observations."""
    from rtrl_jax.core import accelerator

    accelerator.find(settings.device)
    name = settings.network
    if name == "auto":
        name = "resnet15" if spec.is_image else "mlp"
    if (name == "mlp") == spec.is_image:
        kind = "images" if spec.is_image else "vectors"
        raise UserError(f"--network={name} does not take the {kind} of {settings.environment}: leave it at auto")
    if settings.input_scale != "unit" and not spec.is_image:
        raise UserError(
            f"--input_scale={settings.input_scale} is of pixels, and {settings.environment} has vectors: leave it out"
        )
    model = Model(settings, spec, name, settings.width or 1.0)
    if settings.parameters is not None:
        model = replace(model, width=_width_for(model))
    return planned(model)


def _width_for(model: Model) -> float:
    from rtrl_jax.networks import parameters

    try:
        wanted = parameters.parse_count(str(model.settings.parameters))
    except ValueError:
        raise UserError(f"--parameters={model.settings.parameters}: give a number such as 1M, 10M or 1B") from None
    shape, dtype = model.observation_shape, model.spec.observation_dtype
    return parameters.width_for(wanted, model.network, model.spec.actions, shape, dtype)


def with_width(model: Model, width: float) -> Model:
    """The same network in another width, which has no plan yet."""
    return replace(model, settings=replace(model.settings, plan=None), width=width, plan=None)


def planned(model: Model) -> Model:
    """With the plan that the settings name, else what was measured on this machine, else by rule. Raises UserError.

    Its settings name it from then on, so that flags.txt and checkpoints do.
    """
    from rtrl_jax.core import accelerator
    from rtrl_jax.networks import fast

    settings, plan = model.settings, None
    if settings.fast and settings.device == accelerator.IN_PLACE:
        plan = fast.choose(model.module, model.observation_shape, settings.batch_size, settings.inference_dtype)
        if settings.plan:
            plan = _named(model, has_one=plan is not None)
    if settings.inference_dtype != "float32" and (plan is None or not plan.prepared):
        raise UserError(
            f"--inference_dtype={settings.inference_dtype} is for Winograd convolutions, of which this network has none: "
            "leave it at float32"
        )
    return replace(
        model,
        settings=replace(settings, plan=fast.plan_text.write(plan) if plan else None),
        plan=plan and tuple(plan),
    )


def _named(model: Model, has_one: bool):
    """The plan that the settings name."""
    from rtrl_jax.networks import fast

    settings = model.settings
    if not has_one:
        raise UserError(
            f"--plan={settings.plan} is for the paper's ResNets on square images: --network={model.network} computes as "
            "Flax does; leave it out"
        )
    try:
        return fast.plan_text.read(settings.plan, model.module, model.observation_shape, settings.inference_dtype)
    except ValueError as error:
        raise UserError(f"--plan={settings.plan}: {error}; leave it out, or take that of a run's flags.txt") from None
