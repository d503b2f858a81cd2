class PrioritisedReplay:
    pass
