import asyncio
import threading
from concurrent.futures import Future

import pytest

from api.futures import settled


def in_thread(work: object) -> threading.Thread:
    thread = threading.Thread(target=work)  # type: ignore[arg-type]
    thread.start()
    return thread


async def test_results_come_in_order_whoever_is_first() -> None:
    futures: list[Future[int]] = [Future() for _ in range(50)]

    def settle() -> None:
        for number in reversed(range(50)):
            futures[number].set_result(number)

    waiting = asyncio.ensure_future(settled(futures))
    await asyncio.sleep(0)
    thread = in_thread(settle)

    assert await waiting == list(range(50))
    thread.join()


async def test_what_is_settled_already_is_not_waited_for() -> None:
    done: Future[str] = Future()
    done.set_result("done")

    assert await settled([done]) == ["done"]
    assert await settled([]) == []


async def test_the_first_failure_is_raised() -> None:
    fine: Future[int] = Future()
    failing: Future[int] = Future()
    waiting = asyncio.ensure_future(settled([fine, failing]))
    await asyncio.sleep(0)
    thread = in_thread(lambda: failing.set_exception(OSError("gone")))

    with pytest.raises(OSError, match="gone"):
        await waiting
    thread.join()
    fine.set_result(1)


async def test_giving_up_leaves_the_work_alone() -> None:
    slow: Future[int] = Future()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await settled([slow])

    assert not slow.cancelled()
    slow.set_result(1)
    other: Future[int] = Future()
    other.set_result(2)
    assert await settled([other]) == [2]


async def test_dozens_settled_together_wake_the_loop_once() -> None:
    loop = asyncio.get_running_loop()
    futures: list[Future[int]] = [Future() for _ in range(40)]
    waiting = asyncio.ensure_future(settled(futures))
    await asyncio.sleep(0)
    wakeups = []
    plain = loop.call_soon_threadsafe
    loop.call_soon_threadsafe = lambda *args, **rest: wakeups.append(args) or plain(*args, **rest)  # type: ignore[method-assign, func-returns-value, assignment]

    for number, future in enumerate(futures):
        future.set_result(number)

    assert await waiting == list(range(40))
    assert len(wakeups) == 1


def test_a_loop_that_is_closed_is_left_alone() -> None:
    late: Future[int] = Future()

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await settled([late])

    asyncio.run(give_up())
    late.set_result(1)

    async def go_on() -> list[int]:
        return await settled([late])

    assert asyncio.run(go_on()) == [1]
