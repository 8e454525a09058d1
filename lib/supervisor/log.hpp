// The daemon's own log: stderr of clusterd, one line an event. spdlog is behind these functions, so
// that its headers are compiled once.
#pragma once

#include <string>
#include <string_view>

namespace cluster::supervisor::log {

/// `level`: trace | debug | info | warn | error. False for another word.
bool open(std::string_view level);

void debug(std::string_view text);
void info(std::string_view text);
void warn(std::string_view text);
void error(std::string_view text);
/// Writes what was said since. At the end of a turn, and before the process ends.
void flush();

}  // namespace cluster::supervisor::log
