// The version of this build, as `clusterctl version`, `status` and daemon.version show it.
#pragma once

namespace cluster::ctl {

/// "0.1.0". Source: PROJECT_VERSION of CMakeLists.txt, compiled into one file only.
[[nodiscard]] const char* version();

}  // namespace cluster::ctl
