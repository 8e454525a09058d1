// What the keeper has to tell people: single lines on its standard error, which is the daemon's
// log.
#pragma once

namespace cluster::keeper {

/// "clusterd: …" and a newline. A line that does not fit into the log's pipe at once is lost: the
/// keeper never waits for whoever reads its log.
[[gnu::format(printf, 1, 2)]] void say(const char* format, ...);

}  // namespace cluster::keeper
