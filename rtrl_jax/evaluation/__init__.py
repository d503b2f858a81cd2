"""Batch evaluation: many episodes of a policy in a paused world that has the delay and inaction of a model of any size.

`schedule` says which decision acts when, `episodes` plays one episode by it, `worker` plays many side by side in a process,
`pool` hands them out, `scores` and `references` make figures of the returns, `table` writes and shows them.
"""
