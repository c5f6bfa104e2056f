"""Tasks: what is learned and how it is judged. Importing this package registers those that come with EdgeNAS."""

from edgenas.tasks.classification import Classification
from edgenas.tasks.task import Task, get_task, register_task, task_names

__all__ = ["Classification", "Task", "get_task", "register_task", "task_names"]
