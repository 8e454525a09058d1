# find_package(clusterd) brings one target: clusterd::cluster, the library of cluster.h.
include(${CMAKE_CURRENT_LIST_DIR}/clusterdTargets.cmake)
