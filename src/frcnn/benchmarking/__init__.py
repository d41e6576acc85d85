"""How fast it is on this machine, beside torchvision in the same run. (`frcnn.benchmark` is a function.)"""
