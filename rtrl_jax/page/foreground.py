"""Serves a page from the command line until Ctrl-C."""

import asyncio
import signal


def until_interrupted(show) -> None:
    """Runs `show(until)`, an async function that ends when the asyncio.Event `until` is set, as SIGINT, SIGTERM and SIGHUP do."""

    async def run() -> None:
        until = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_IGN:  # as nohup wants it
                continue
            asyncio.get_running_loop().add_signal_handler(number, until.set)
        await show(until)

    asyncio.run(run())
