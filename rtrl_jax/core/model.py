"""The model: what settings make of a network for a world. Shapes, agent, optimiser, convolution plan and compiled functions.

It is plain data that every process is told; what takes JAX is worked out where it is asked for.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from rtrl_jax.actions import Vector, combinations
from rtrl_jax.agents.variant import Variant, for_actions, learning_rate, variant_of
from rtrl_jax.environments import Spec
from rtrl_jax.errors import UserError
from rtrl_jax.pending import Pending, Seen
from rtrl_jax.settings import Settings


@dataclass(frozen=True)
class Model:
    settings: Settings
    spec: Spec
    network: str  # one of `networks.NAMES`
    width: float  # the paper's k
    plan: tuple | None = None  # how the network convolves, a `networks.fast.Plan`, of --plan; None: as Flax does

    def __post_init__(self):
        # Whoever makes one: its settings name an agent that fits the actions, with that agent's numbers.
        fitting = for_actions(self.settings, self.spec.actions, self.settings.environment)
        object.__setattr__(self, "settings", fitting)

    @cached_property
    def variant(self) -> Variant:
        """Of the agent."""
        return variant_of(self.settings, self.spec.actions)

    @property
    def observation_shape(self) -> tuple[int, ...]:
        """What the network sees: frames stacked on the last axis."""
        *shape, channels = self.spec.observation_shape
        return (*shape, channels * self.settings.frame_stack)

    @cached_property
    def inputs(self):
        """What the numbers of an observation are to the network, `networks.Inputs`."""
        from rtrl_jax.networks import Inputs

        spec, depth = self.spec, self.settings.frame_stack
        pixels = {"unit": (255.0,), "byte": ()}[self._scale_of_pixels] if spec.has_pixels else None

        def of_all(values: tuple) -> tuple:  # frames are stacked on the last axis
            return values * depth if len(values) > 1 else values

        return Inputs(
            of_all(spec.offset),
            of_all(spec.divisor) if pixels is None else pixels,
            of_all(spec.measured) if self.settings.normalise_observations else (),
        )

    @property
    def _scale_of_pixels(self) -> str:
        asked = self.settings.input_scale
        return asked if asked != "auto" else "byte" if self.spec.symbols else "unit"

    @property
    def sees(self) -> str:
        """What the network sees, in words: the shape, how it was made of what the world gives, how its numbers are scaled."""
        spec, shape = self.spec, "x".join(map(str, self.observation_shape))
        kind = "grids of symbols" if spec.symbols else "images" if spec.is_image else "numbers"
        bounded = spec.divisor and not spec.symbols
        if bounded or (spec.has_pixels and self._scale_of_pixels == "unit"):
            scaled = f"scaled by their bounds to {'0 … 1' if spec.is_image else '−1 … 1'}"
        else:
            scaled = "as they are"
        if self.settings.normalise_observations:
            scaled += ", then by running statistics"
        elif scaled == "as they are" and any(spec.measured) and not spec.is_image:
            scaled += " (--normalise_observations would scale them)"
        if self.settings.frame_stack > 1:
            kind += f" of {self.settings.frame_stack} frames"
        return ", ".join(filter(None, (f"{shape} {kind}", spec.observed_as, f"{spec.observation_dtype} {scaled}")))

    @cached_property
    def pending(self) -> Pending | None:
        """What the network is told of the agent's own actions, if anything."""
        settings, spec = self.settings, self.spec
        if not settings.told:
            return None
        actions = spec.actions if isinstance(spec.actions, Vector) else max(spec.actions, 1 + spec.default_action)
        return Pending(settings.pending, settings.told, settings.pending_encoding, actions, settings.reflex)

    def blank(self, *rows: int):
        """Observations, and what is told with them, that say nothing: [*rows, *observation_shape], or `Seen`."""
        frames = np.zeros((*rows, *self.observation_shape), self.spec.observation_dtype)
        if not self.pending:
            return frames
        return Seen(frames, self.pending.nothing(*rows), frames.copy() if self.pending.reflex else None)

    @cached_property
    def module(self):
        """The Flax module."""
        from rtrl_jax import networks

        settings, heads, actions = self.settings, self.variant.heads(self.pending), self.spec.actions
        if self.variant.sac:
            return networks.actor_critic(self.network, actions.size, self.width, heads, self.inputs)
        values = combinations(actions) if settings.policy == "agent" or not isinstance(actions, Vector) else 1
        return networks.build(self.network, values, self.width, heads, self.inputs)

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
        act = jax.jit(self.variant.make(module.apply).acts)
        units = jax.eval_shape(
            lambda tree, observation: self.module.apply({"params": tree}, observation)[0],
            self.shapes,
            self.blank(1).observation,
        )
        seen = self.blank(1)._replace(observation=np.zeros((1, *units.shape), units.dtype))
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
    """Works out the agent, the network, its width and its plan. Raises UserError if they do not fit the world."""
    from rtrl_jax.core import accelerator
    from rtrl_jax.networks.nature import LEAST

    accelerator.find(settings.device)
    name = settings.network
    if name == "auto":
        name = "grid" if spec.is_small else "resnet15" if spec.is_image else "mlp"
    if (name == "mlp") == spec.is_image:
        kind = "images" if spec.is_image else "vectors"
        raise UserError(f"--network={name} does not take the {kind} of {settings.environment}: leave it at auto")
    if settings.input_scale != "auto" and not spec.has_pixels:
        raise UserError(
            f"--input_scale={settings.input_scale} is of pixels, bytes from 0 to 255, and {settings.environment} has other "
            "numbers: leave it out"
        )
    if name == "nature" and min(spec.observation_shape[:2]) < LEAST:
        raise UserError(
            f"--network=nature takes images of {LEAST} rows and columns at least: give --image_size={LEAST}, or another network"
        )
    if settings.normalise_observations and not any(spec.measured):
        raise UserError(
            f"--normalise_observations: what is seen of {settings.environment} is one-hot, and needs no scaling: leave it out"
        )
    model = Model(settings, spec, name, settings.width or 1.0)
    if settings.parameters is not None:
        model = replace(model, width=_width_for(model))
    return planned(model)


def _width_for(model: Model) -> float:
    from rtrl_jax.networks import parameters

    if model.variant.sac:
        raise UserError(f"--parameters={model.settings.parameters}: --agent=sac has three networks: give --width")
    try:
        wanted = parameters.parse_count(str(model.settings.parameters))
    except ValueError:
        raise UserError(f"--parameters={model.settings.parameters}: give a number such as 1M, 10M or 1B") from None
    shape, dtype = model.observation_shape, model.spec.observation_dtype
    return parameters.width_for(wanted, model.network, combinations(model.spec.actions), shape, dtype)


def with_width(model: Model, width: float) -> Model:
    """The same network in another width, which has no plan yet."""
    return replace(model, settings=replace(model.settings, plan=None), width=width, plan=None)


_WANTS = {
    "bfloat16": "this network has no convolutions that are faster so",
    "int8": "that takes one of the paper's ResNets, of more than 4 filters, a C++ compiler, and a processor with AVX-512 VNNI",
}


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
            f"--inference_dtype={settings.inference_dtype}: {_WANTS[settings.inference_dtype]}: leave it at float32"
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
        raise UserError(
            f"--plan={settings.plan}: {error}; leave it out, or on resuming give --fast=false or another"
        ) from None
