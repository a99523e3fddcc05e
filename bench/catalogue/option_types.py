"""The options of the suite and their types, written by `python -m bench schema`."""

from __future__ import annotations

from typing import Literal, TypedDict


class Options(TypedDict, total=False):
    """Every option there is; a task and a method have some of them."""

    action_dim: int
    action_noise: float  # deviation of the noise on the controller's actions
    activation: Literal["relu", "gelu"]
    adam_beta2: float  # AdamW's second beta; the Atari code of DT and of DeMa has 0.95
    adam_epsilon: float
    advantage_temperature: float  # inverse temperature of the weights on the cloning loss
    asked_for: Literal["mean", "left"]
    attend_from: int  # first step of the episode that is looked at
    attend_to: int  # last step of the episode that is looked at
    attention_channel: int  # channel of each layer that is shown alone, counted from 1
    attention_fusion: Literal["mean", "sum"]
    attention_kernel: Literal["fused", "eager"]
    batch_size: int
    behaviour_policy: str
    best_share: float  # share of the data kept, best trajectories first
    best_share_of: Literal["trajectories", "transitions"]
    block: Literal["pre", "post"]
    block_target_return: bool
    branch_loss: Literal["average", "half"]
    buffers: int  # checkpoint buffers of the DQN run that trajectories are drawn from
    candidate_deviation: float
    candidate_targets: int
    candidate_temperature: float
    candidates_per_target: int  # returns that one decision tries for each target
    checkpoints: int  # evaluations of a run, evenly spaced, the last one at the end
    cloning_updates: int  # first updates in which the actor clones the dataset's actions
    cloning_weight: float  # weight of the cloning of actions better than the policy
    collect_every: int
    collect_rooms: int  # meta-episodes of one collection
    completion_embedding: Literal["linear", "rows"]
    conservative_weight: float  # weight of the conservative term; not printed in either paper
    context_blocks: int  # blocks of c steps that a context of packed trajectories holds, the oldest being cut
    context_episodes: int  # episodes in the context, the current one included (n)
    context_length: int  # steps of the past (K) that a decision sees
    context_order: Literal["return", "time", "shuffled"]
    context_packing: Literal["none", "similar"]
    context_selection: Literal["random", "contiguous"]
    context_transitions: int
    convolution_projection: bool  # a linear map and dropout behind each convolution
    convolution_window: int  # tokens that each convolution sees, in the place of attention
    corridor_length: int  # steps from the start to the junction; the memory length of the figures
    count_critics: bool  # whether the critics are among the parameters counted
    critic_weight: float  # weight of the critics' loss
    critics: int  # critics in the ensemble
    critics_in_target: int  # target networks drawn for each step whose least value is the target
    d_conv: int  # taps of the causal convolution
    d_model: int
    d_state: int
    decay: Literal["constant", "cosine"]  # learning rate after the warm-up
    decay_floor: float  # share of the peak at which the cosine ends; 0.1 in DT's Atari code
    decay_tokens: int
    decayed: Literal["all", "weights", "inner-weights"]
    delayed_reward: bool  # the whole reward of an episode at its last step
    discount: float  # the learner's discount
    discrete_actions: bool  # actions are one of action_dim, stored one-hot and learnt by cross-entropy
    donor: str  # task whose trained model gives its hidden attention in a swap; its shapes must be the same
    dropout: float
    embedding_dim: int
    embedding_norm: Literal["modality", "shared"]
    empty_context_trained: bool  # whether the prediction after no transition at all is trained as well
    encoder: Literal["end-to-end", "frozen"]
    encoder_precision: Literal["float32", "bfloat16"]  # what the encoder of frames computes in
    entropy_weight: float
    environment_id: str
    environment_version: Literal["v4", "v5"]
    episodes: int
    epochs: int  # passes over the trajectories in place of `updates`; 0 leaves it to `updates`
    epsilon_first: float
    epsilon_first_at_end: float
    epsilon_last: float  # the same at the end of its fall over training
    epsilon_last_at_end: float  # the same at the end of its fall over training
    epsilon_scaled: bool
    epsilon_share: float  # share of the updates over which they fall
    evaluation_environments: int  # rooms tested at once, spread evenly over the unseen goals
    evaluation_episodes: int
    expand: int  # inner width over token width
    expectile: float  # expectile of the state value
    experience: Literal["own", "histories", "both"]
    exploration: float
    first_step: Literal["predicted", "context"]
    frame_input: Literal["levels", "centred"]
    frame_side: int  # pixels along a side of a grey frame
    frame_skip: int  # frames that one action lasts
    goal_column: int  # its column
    goal_radius: float  # metres from the goal within which a step is paid; gymnasium-robotics has 0.45
    goal_range: Literal["episode", "block"]
    goal_row: int  # row of the cell that is the goal, counted from 0 with the walls
    gradient_clip: float
    gradient_norm: Literal["module", "model"]
    graph_edges: Literal["drawn", "none-visible"]
    head_dim: int  # hidden units of actor, critics and timestep encoder
    heads: int
    hidden_dim: int
    hidden_layers: int
    history_learning_rate: float  # step size of the learner's gradient descent
    history_share: float
    history_steps: int
    horizon: int  # steps in an episode; ten times as many in Large rooms
    initial_value: float
    initialisation: Literal["authors", "torch"]
    intervened_layer: Literal["1", "2", "3", "all"]  # the layer whose hidden attention is replaced
    intervened_tensors: Literal["convolution-and-scan", "scan", "mixer"]
    intervention: Literal["none", "swap", "random", "zero"]
    kept_episodes: Literal["last", "best", "all"]
    kernel: Literal["nplr-legs", "diagonal-legs", "diagonal-linear"]
    layers: int
    learning_rate: float
    likeliest: int
    local_position: Literal["block", "timestep", "none"]
    local_tokens: Literal["separate", "merged"]
    local_window: Literal["block", "sliding"]
    long_tokens: Literal["separate", "rich"]
    mamba_layers: int  # blocks of the Mamba over the long sequence
    max_episode_steps: int
    max_timestep: int  # rows of the timestep embedding, where there is one
    mode: Literal["window", "recurrent"]
    noise_clip: float  # bound of that noise
    noop_steps: int  # most no-ops at the start of an episode
    norm: Literal["rms", "layer"]
    normalise_rewards: bool  # rewards scaled so that the best and the worst trajectory differ by 1,000
    normalise_states: bool  # observations less the dataset's mean, over its deviation
    observation_dim: int
    optimal_action: Literal["x-first", "even"]
    oracle_length: int  # steps back to the oracle; 0 is the passive maze, which tells the goal at once
    padding: Literal["masked", "attended"]
    penalty: float
    policy_delay: int  # critic updates for each update of the policy and of the target networks
    policy_noise: float  # deviation of the noise on the target action
    policy_weight: float  # weight of the expected value under the policy
    position_embedding: bool
    post_dropout: float  # dropout on the tokens and in the feed-forward layers of post blocks
    post_mixer: Literal["scan", "mamba"]
    probe_batch_size: int  # sequences in a timed training step
    probe_online: bool  # whether a whole online test is timed (methods that act in context only)
    probe_repeats: int
    probe_turns: int  # turns of a cell and what it is timed against; each gives a ratio
    query_states: Literal["room", "context"]
    random_values: Literal["uniform", "initialisation", "normal"]
    reference_high: float  # return that scores 100
    reference_low: float  # return that scores 0
    replay_size: int
    return_scale: float  # returns are divided by it before they are embedded
    reward_memory: bool  # whether a state also says if a reward was seen before it in its episode
    reward_multiplier: float  # factor on the rewards that the critic sees
    reward_scale: float
    room_side: int  # cells along a side
    sampled_actions: int  # actions drawn evenly, and as many of the actor's, for the conservative term
    score_scaling: Literal["once", "twice"]
    scored_episode: Literal["last", "largest", "mean"]
    second_policy: str  # shipped policy that half of the transitions come from, or none
    selection: Literal["last", "best", "mean-of-last-3"]
    shown_return: Literal["previous", "current"]
    slow_policy_every: int  # updates from one move of the slow policy to the next
    slow_policy_from: int  # updates before the slow policy moves for the first time
    slow_policy_update: float  # share of the policy that enters its target network
    stacked_frames: int  # frames in an observation
    start: Literal["centre", "corner", "random"]  # where an episode starts; not printed
    state_code: Literal["coordinates", "one-hot"]
    step_size_minimum: float
    step_tokens: Literal["separate", "merged"]
    steps_per_subgoal: int  # steps that one sub-goal guides (c)
    sticky_actions: float
    stochastic: bool  # sample the behaviour policy's actions instead of taking their means
    stored_episodes: int
    subgoal: Literal["sampled", "mean"]
    subgoal_deviation: float
    subgoal_draws: Literal["block", "position"]
    subgoal_head: Literal["linear", "tanh"]
    subgoal_layer: bool
    subgoal_rewards: Literal["passed", "indexed"]
    subgoal_rule: Literal["own", "previous"]
    subgoal_size: Literal["width", "state"]  # numbers of a sub-goal: the width, or as many as a state has
    subgoal_ties: Literal["earliest", "latest"]  # which of equally valuable states counts; not printed
    target_multiples: Literal[
        "1", "7.5", "15-10-7.5-5-2.5-1", "1-0.9-0.8-0.7-0.6-0.5-0.3", "1-0.5", "1-0.75-0.5", "1-2-10-20"
    ]
    target_return: float
    target_returns: str
    target_selection: Literal["first", "best"]
    target_source: Literal["printed", "largest"]
    target_update: float  # share of the critic that enters its target network at each update
    td_steps: int  # steps of reward before a target takes the value of the target networks
    temperature: float
    test_context_order: Literal["return", "time"]
    test_tasks: int  # unseen goals that are tested; the split is not printed
    tested_tasks: Literal["unseen", "training"]
    timed_against: str
    token_order: Literal["return-action-state", "action-return-state", "return-state-action"]
    tokens: Literal["b3ld", "bl3d"]
    train_tasks: int  # goals with a learning history
    trained_blocks: float  # share of those episodes' blocks of c steps that enter the loss of an update
    trained_episodes: Literal["all", "last"]  # episodes of a context whose actions enter the loss
    training_return: Literal["current", "previous"]
    trajectories: int  # optimal episodes, goals in turn; the first two are all there are
    trajectory_draw: Literal["by-length", "even"]
    trajectory_end: Literal["time-limit", "goal"]
    transformer_layers: int  # blocks of the Transformer over a local sequence
    transitions: int  # steps in the dataset
    tune_entropy: bool  # whether that coefficient is learnt, to an entropy of minus the action's dimension
    updates: int
    updates_per_batch: int
    valuable_subgoals: bool  # train on the valuable state as sub-goal too, beside the Mamba's own
    value_backup: Literal["window", "one-step"]
    value_discount: float
    value_normalisation: bool  # values in units of the mean and deviation of the returns seen (PopArt)
    value_weight: float
    warmup_tokens: int  # predicted actions of linear warm-up, as DT's Atari code counts it; 0 counts updates
    warmup_updates: int  # updates of linear warm-up
    waypoint_spread: float  # metres from a cell's middle within which its waypoint is drawn along each axis
    weight_ceiling: float  # largest of those weights
    weight_decay: float
    window_start: Literal["anywhere", "beginning", "full"]
    world: Literal["darkroom", "darkroom-hard", "dark-key-to-door", "darkroom-dynamic"]  # rules of the room
