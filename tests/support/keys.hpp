// Keys of a worker's table that many tests want: runs that are good soon, and come again soon.
#pragma once

#include <string>

namespace cluster::test {

/// `start` and `reload` call a run good after a moment.
inline const std::string kQuick = "min_uptime = \"50ms\"\n";
/// As soon as it is ready; what has ended is started again at once.
inline const std::string kAtOnce =
    "min_uptime = \"0s\"\nbackoff = { initial = \"20ms\", max = \"40ms\", jitter = 0.0 }\n";
inline const std::string kNotify = kAtOnce + "ready = \"notify\"\n";

}  // namespace cluster::test
