"""DreamerV3 in torch: a world model learnt from replay, and an actor and critic trained inside it.

Read top-down: `agent` (the story) -> `world_model` (losses) -> `dynamics` (the contract of a recurrent core) ->
`rssm` (with `core`) -> `behavior` (imagination, actor, critic) -> `codecs` (with `images`; `heads` beside it) ->
`networks` -> `distributions` -> `maths` -> `optim`. `prediction` looks at what a trained world model expects.
`scan`, `stack`, `one_hots`, `norms` and `products` are where an update is fast: gradients written out, libraries
chosen; `cuda_graphs` records a whole update for a GPU.
Time alignment of observations, actions, rewards and flags is drawn in `dreamerlab.experience.episode`.

Letters of tensor shapes, everywhere in this package:

    B  windows in a batch          D  width of the deterministic state (G groups of D/G)
    T  steps in a window           S  number of categorical latents
    H  imagined steps              K  classes of each latent
    N  imagined rollouts           F  feature width, D + S*K
    E  token width                 A  number of actions
    L  bins of a two-hot head

Replay comes batch first, (B, T); imagination runs time first, (H + 1, N), so that a step is one contiguous slice.
"""
