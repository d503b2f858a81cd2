def make(apply, *, double_q, noisy, support):
    raise NotImplementedError
