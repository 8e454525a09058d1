#include "supervisor/log.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace cluster::supervisor::log {
namespace {

spdlog::logger& logger() {
    static const std::shared_ptr<spdlog::logger> instance = spdlog::stderr_logger_st("clusterd");
    return *instance;
}

}  // namespace

bool open(std::string_view level) {
    const auto parsed = spdlog::level::from_str(std::string(level));
    if (parsed == spdlog::level::off && level != "off") return false;
    logger().set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
    logger().set_level(parsed);
    logger().flush_on(spdlog::level::trace);
    return true;
}

void debug(std::string_view text) {
    logger().debug(text);
}
void info(std::string_view text) {
    logger().info(text);
}
void warn(std::string_view text) {
    logger().warn(text);
}
void error(std::string_view text) {
    logger().error(text);
}

}  // namespace cluster::supervisor::log
