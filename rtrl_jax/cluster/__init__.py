"""Inference workers and learners on other machines of a Ray cluster. Ray places their crews and watches them; bridges keep their
boards in step.

A crew is the inference workers, or learners, that go to one other machine together. There a bridge (`node`) makes a board of
the same layout and starts the crew's processes, which do what they do everywhere. Beside the environment another bridge (`home`)
copies each field of the board one way, as `fields`, `stream` and `training` say. Only `joining` imports Ray, and `host` where Ray
has placed it.
"""
