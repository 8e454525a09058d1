#include "clusterctl/view/words.hpp"

#include <algorithm>
#include <charconv>

#include "core/selector.hpp"
#include "core/spec.hpp"

namespace cluster::clusterctl {
namespace {

bool ends_in(std::string_view text, std::string_view end) {
    return text.size() >= end.size() && text.substr(text.size() - end.size()) == end;
}

/// The whole text as a decimal number.
std::optional<std::uint32_t> parse_number(std::string_view text) {
    std::uint32_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return number;
}

}  // namespace

StartWord meaning_of(std::string_view word, PathKind kind) {
    if (ends_in(word, ".toml") || kind == PathKind::file) return StartWord::config;
    const bool is_path = word.find('/') != std::string_view::npos;
    if (is_path) return kind == PathKind::program ? StartWord::program : StartWord::config;
    return StartWord::selector;
}

tl::expected<ScaleBy, std::string> parse_scale(std::string_view text) {
    const char sign = text.empty() ? '\0' : text.front();
    const bool is_relative = sign == '+' || sign == '-';
    const std::optional<std::uint32_t> number = parse_number(text.substr(is_relative ? 1 : 0));
    if (!number || *number > core::kMaxInstancesPerWorker) {
        return tl::unexpected<std::string>("expected a number of instances from 0 to " +
                                           std::to_string(core::kMaxInstancesPerWorker) +
                                           ", or +N or -N, got \"" + std::string(text) + "\"");
    }
    ScaleBy scale;
    if (is_relative) {
        const auto magnitude = static_cast<std::int32_t>(*number);
        scale.delta = sign == '-' ? -magnitude : magnitude;
    } else {
        scale.instances = *number;
    }
    return scale;
}

std::string name_from_program(std::string_view program) {
    const std::size_t slash = program.rfind('/');
    if (slash != std::string_view::npos) program.remove_prefix(slash + 1);
    std::string name;
    for (const char c : program.substr(0, core::kMaxNameLength)) {
        name += core::is_valid_worker_name(std::string_view(&c, 1)) ? c : '_';
    }
    return core::is_valid_worker_name(name) ? name : std::string();
}

tl::expected<std::pair<std::string, std::string>, std::string> parse_variable(
    std::string_view text) {
    const std::size_t equals = text.find('=');
    if (equals == 0 || equals == std::string_view::npos) {
        return tl::unexpected<std::string>("expected NAME=value, got \"" + std::string(text) +
                                           "\"");
    }
    return std::pair(std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)));
}

std::optional<LogName> parse_log_name(std::string_view file_name) {
    LogName log;
    std::string_view end = ".log";
    if (!ends_in(file_name, end)) return std::nullopt;
    log.stream = LogName::Stream::both;
    if (ends_in(file_name, ".err.log") || ends_in(file_name, ".out.log")) {
        const bool is_error = ends_in(file_name, ".err.log");
        log.stream = is_error ? LogName::Stream::err : LogName::Stream::out;
        end = ".out.log";
    }
    file_name.remove_suffix(end.size());
    const std::size_t dot = file_name.rfind('.');
    if (dot == std::string_view::npos) return std::nullopt;
    const std::optional<std::uint32_t> number = parse_number(file_name.substr(dot + 1));
    if (!number || !core::is_valid_worker_name(file_name.substr(0, dot))) return std::nullopt;
    log.worker = file_name.substr(0, dot);
    log.instance = *number;
    return log;
}

SplitArguments split_at_separator(const std::vector<std::string>& arguments) {
    SplitArguments split;
    const auto separator = std::find(arguments.begin(), arguments.end(), "--");
    split.head.assign(arguments.begin(), separator);
    split.has_separator = separator != arguments.end();
    if (split.has_separator) split.tail.assign(separator + 1, arguments.end());
    return split;
}

std::string take_verb(std::vector<std::string>& head,
                      const std::vector<std::string_view>& value_options) {
    for (auto word = head.begin(); word != head.end(); ++word) {
        const bool takes_value =
            std::find(value_options.begin(), value_options.end(), *word) != value_options.end();
        if (takes_value) {
            if (++word == head.end()) break;
        } else if (word->empty() || word->front() != '-') {
            std::string verb = *word;
            head.erase(word);
            return verb;
        }
    }
    return {};
}

}  // namespace cluster::clusterctl
