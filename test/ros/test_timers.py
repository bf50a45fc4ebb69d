"""A defect in what a timer does."""

from rclpy.executors import SingleThreadedExecutor

from reconx_ros.ros.node import ReconxNode


def test_a_timer_whose_work_fails_goes_on(context: None) -> None:
    node = ReconxNode()
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    tries = 0

    def work() -> None:
        nonlocal tries
        tries += 1
        raise RuntimeError("dictionary changed size during iteration")

    timer = node.create_timer(0.01, node._guarded(work))
    try:
        for _ in range(200):
            executor.spin_once(timeout_sec=0.05)
            if tries == 3:
                break
        assert tries == 3
    finally:
        node.destroy_timer(timer)
        executor.shutdown()
        node.destroy_node()
