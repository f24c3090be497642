"""Shared code of the course *Epoch by epoch*: counting, sampling, data, training.

Importing ``lib`` is instant and does not import PyTorch. Take what you need from
its modules: ``from lib.plan import TrainingPlan``, ``from lib.training import train``.
"""
