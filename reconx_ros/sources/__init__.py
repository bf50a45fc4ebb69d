"""Where frames come from: ROS bags without ROS, image folders."""
