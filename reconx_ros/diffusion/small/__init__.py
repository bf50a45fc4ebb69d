"""The small model: a U-Net that blends and mends warped references, trained by `reconx train`."""
