# The layer table: which root folder may include which. CMake links from it, and
# tools/check_layers.sh (a test) compares every #include with it.
set(TORII_LAYERS base kernels comm data model sharding sampler eval trainer exports launch)
set(TORII_LAYER_base "")
set(TORII_LAYER_kernels base)
set(TORII_LAYER_comm base kernels)
set(TORII_LAYER_data base)
set(TORII_LAYER_model base kernels)
set(TORII_LAYER_sharding base kernels comm)
set(TORII_LAYER_sampler base kernels comm)
set(TORII_LAYER_eval base kernels comm)
set(TORII_LAYER_trainer base kernels comm data model sharding sampler eval)
set(TORII_LAYER_exports base kernels comm data model sharding sampler eval trainer)
set(TORII_LAYER_launch base kernels comm data model sharding sampler eval trainer exports)

# Rooms: the sub-folders of a layer, and which rooms of the layer each may include ("top": the files beside the
# rooms). Only layers listed here have rules about rooms. Generated headers (*.pb.h) are free to all.
set(TORII_ROOMS_data top read encode prepare synthetic)
set(TORII_ROOM_data_top "")
set(TORII_ROOM_data_read top)
set(TORII_ROOM_data_encode top read)
set(TORII_ROOM_data_prepare top read encode)
set(TORII_ROOM_data_synthetic top)
set(TORII_ROOMS_launch top config process run command)
set(TORII_ROOM_launch_top process command)
set(TORII_ROOM_launch_config "")
set(TORII_ROOM_launch_process config)
set(TORII_ROOM_launch_run config process)
set(TORII_ROOM_launch_command config process run)
