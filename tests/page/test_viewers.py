"""Viewers: who keeps up gets everything, who does not is dropped, and nobody is waited for."""

import asyncio
import json

import pytest

from rtrl_jax.page.viewers import BAD_MESSAGE, MOST_UNSEEN, TOO_MANY, TOO_SLOW, Viewer, Viewers


class Connection:
    """A browser: what it sends is put into `incoming`; `reads` says whether it takes what it is sent."""

    def __init__(self, reads=True):
        self.incoming, self.sent, self.closed, self._reads = asyncio.Queue(), [], None, reads

    async def accept(self):
        pass

    async def send_bytes(self, message):
        if not self._reads:
            await asyncio.Event().wait()
        self.sent.append(message)

    async def receive(self):
        return await self.incoming.get()

    async def close(self, code):
        self.closed = code

    def say(self, text):
        self.incoming.put_nowait({"type": "websocket.receive", "text": text})

    def leave(self):
        self.incoming.put_nowait({"type": "websocket.disconnect"})


async def settle():
    for _ in range(10):
        await asyncio.sleep(0)


def test_one_who_stops_reading_is_dropped_and_the_others_are_not():
    async def scene():
        viewers, good, stuck = Viewers(), Connection(), Connection(reads=False)
        tasks = [asyncio.create_task(viewers.attend(one, lambda: b"hello", {})) for one in (good, stuck)]
        await settle()
        for number in range(2 * MOST_UNSEEN):
            viewers.broadcast(b"%d" % number)
            await settle()
            good.say(json.dumps({"type": "seen", "number": number + 2}))
        await asyncio.wait_for(tasks[1], 2)
        assert stuck.closed == TOO_SLOW
        assert len(viewers.all) == 1
        assert good.sent == [b"hello", *(b"%d" % number for number in range(2 * MOST_UNSEEN))]
        good.leave()
        await asyncio.wait_for(tasks[0], 2)
        assert not viewers.all

    asyncio.run(scene())


@pytest.mark.parametrize(
    "text", ['{"type":"stop"}', "rubbish", '{"type":"seen","number":99}', '{"type":"seen","number":-1}']
)
def test_one_who_sends_rubbish_is_dropped(text):
    async def scene():
        viewers, rude = Viewers(), Connection()
        task = asyncio.create_task(viewers.attend(rude, lambda: b"hello", {}))
        rude.say(text)
        await asyncio.wait_for(task, 2)
        assert rude.closed == BAD_MESSAGE

    asyncio.run(scene())


def test_there_is_room_for_so_many():
    async def scene():
        viewers, connections = Viewers(most=2), [Connection() for _ in range(3)]
        tasks = [asyncio.create_task(viewers.attend(one, lambda: b"hello", {})) for one in connections]
        await settle()
        assert [one.closed for one in connections] == [None, None, TOO_MANY]
        viewers.close()
        await asyncio.wait_for(asyncio.gather(*tasks), 2)

    asyncio.run(scene())


def test_what_a_viewer_says_is_heard_and_so_is_its_leaving():
    async def scene():
        viewers, guest, heard = Viewers(), Connection(), []
        hear = lambda viewer, message: heard.append(message)  # noqa: E731
        task = asyncio.create_task(viewers.attend(guest, lambda: b"hello", {"stop": {}}, hear))
        guest.say('{"type":"stop"}')
        guest.leave()
        await asyncio.wait_for(task, 2)
        assert heard == [{"type": "stop"}, None]

    asyncio.run(scene())


def test_the_queue_is_bounded():
    async def scene():
        viewer = Viewer()
        for _ in range(3 * MOST_UNSEEN):
            viewer.offer(b"")
        assert viewer.queue.qsize() == MOST_UNSEEN
        assert viewer.dropped.result() == TOO_SLOW

    asyncio.run(scene())
