# The layer table: which root folder may include which. CMake links from it, and
# tools/check_layers.sh (a test) compares every #include with it.
set(TORII_LAYERS base kernels comm data model sharding sampler eval trainer launch)
set(TORII_LAYER_base "")
set(TORII_LAYER_kernels base)
set(TORII_LAYER_comm base kernels)
set(TORII_LAYER_data base)
set(TORII_LAYER_model base kernels)
set(TORII_LAYER_sharding base kernels comm)
set(TORII_LAYER_sampler base kernels comm)
set(TORII_LAYER_eval base kernels comm)
set(TORII_LAYER_trainer base kernels comm data model sharding sampler eval)
set(TORII_LAYER_launch base kernels comm data model sharding sampler eval trainer)
