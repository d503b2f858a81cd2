"""How many inference workers go to which machine of a cluster."""

from rtrl_jax.errors import UserError


def spread(workers: int, share: int, here: int, machines: list[int]) -> list[int]:
    """Workers for each of the other machines, once the environment's own is full: no more machines than it takes.

    Args:
      workers: N_I, of them all.
      share: workers of a process, which wants a core.
      here: cores for inference on the environment's machine.
      machines: cores of each of the others, in the order in which they are filled.

    Raises:
      UserError: there are too few cores.
    """
    room = [cores * share for cores in (here, *machines)]
    if workers > sum(room):
        raise UserError(
            f"--inference_workers={workers}: this cluster has cores for {sum(room)}, {room[0]} of them beside the environment "
            "and learners: give fewer, or add machines with ray start --address"
        )
    left, sizes = workers, []
    for most in room:
        sizes.append(min(left, most))
        left -= sizes[-1]
    return sizes[1:]
