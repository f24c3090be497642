"""stable-baselines3."""

import gymnasium
import torch

from tests.frameworks.harness import check

torch.set_num_threads(1)


class Nothing(gymnasium.Env):
    """An environment in which nothing happens, for three steps an episode."""

    observation_space = gymnasium.spaces.Box(-1, 1, (1,))
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        self.left = 3
        return self.observation_space.low, {}

    def step(self, action):
        self.left -= 1
        return self.observation_space.low, 0.0, self.left == 0, False, {}


class Counting(torch.optim.SGD):
    """Counts its own steps."""

    steps = 0

    def step(self, *args, **kwargs):
        self.steps += 1
        return super().step(*args, **kwargs)


def learn(algorithm, draw, choices, **how):
    from stable_baselines3.common.vec_env import DummyVecEnv

    names = [name for name in choices if name not in ("total_timesteps", "n_envs")]
    model = algorithm(
        "MlpPolicy",
        DummyVecEnv([Nothing] * choices["n_envs"]),
        learning_rate=1e-3,
        device="cpu",
        policy_kwargs=dict(net_arch=[2], optimizer_class=Counting),
        **{name: choices[name] for name in names},
        **how,
    )
    return model.learn(choices["total_timesteps"])


@check("sb3-ppo", 60)
def ppo(draw):
    from stable_baselines3 import PPO

    choices = dict(
        total_timesteps=draw.randint(1, 200),
        n_steps=draw.randint(2, 40),
        n_envs=draw.randint(1, 3),
        batch_size=draw.randint(2, 40),
        n_epochs=draw.randint(1, 4),
    )
    yield choices
    model = learn(PPO, draw, choices)
    yield {
        "iterations": model.policy.optimizer.steps,
        "total_timesteps": model.num_timesteps,
        "_n_updates": model._n_updates,
    }


@check("sb3-dqn", 80)
def dqn(draw):
    from stable_baselines3 import DQN

    choices = dict(
        total_timesteps=draw.randint(1, 150),
        learning_starts=draw.randint(0, 60),
        train_freq=draw.randint(1, 6),
        gradient_steps=draw.choice([1, 2, -1]),
        batch_size=4,
        n_envs=draw.randint(1, 3),
    )
    yield choices
    model = learn(DQN, draw, choices, buffer_size=500)
    yield {"iterations": model.policy.optimizer.steps, "_n_updates": model._n_updates}
