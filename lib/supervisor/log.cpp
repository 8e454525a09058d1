#include "supervisor/log.hpp"

#include <spdlog/details/null_mutex.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>

#include <climits>
#include <memory>
#include <string>

#include "sys/file.hpp"

namespace cluster::supervisor::log {
namespace {

constexpr int kStandardError = 2;

/// stderr, but never a reason to wait: a reader that stalls (a journal, a pager) loses lines, and
/// the workers lose nothing. What one turn says is written together; what is worth a warning, at once
/// with all before it.
class PatientSink final : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
protected:
    void sink_it_(const spdlog::details::log_msg& message) override {
        spdlog::memory_buf_t line;
        formatter_->format(message, line);
        // More than a pipe that is ready takes without waiting is never written at once: pipe(7).
        if (lines_.size() + line.size() > PIPE_BUF) flush_();
        lines_.append(line.data(), line.size());
        if (message.level >= spdlog::level::warn) flush_();
    }
    void flush_() override {
        if (!lines_.empty()) sys::write_if_ready(kStandardError, lines_);
        lines_.clear();
    }

private:
    std::string lines_;
};

spdlog::logger& logger() {
    static spdlog::logger instance("clusterd", std::make_shared<PatientSink>());
    return instance;
}

}  // namespace

bool open(std::string_view level) {
    const auto parsed = spdlog::level::from_str(std::string(level));
    if (parsed == spdlog::level::off && level != "off") return false;
    logger().set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %v");
    logger().set_level(parsed);
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
void flush() {
    logger().flush();
}

}  // namespace cluster::supervisor::log
