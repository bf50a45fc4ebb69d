"""The ROS 2 side: the node, conversions, QoS, parameters, the link to the worker process."""
