"""Global alignment: pointmaps of image pairs brought into one world, with what the robot knows."""
