#include "supervisor/channel_text.hpp"

#include <algorithm>
#include <optional>
#include <variant>

namespace cluster::supervisor {
namespace {

using json::Json;

std::uint64_t size_of(const Json& object, const char* name, std::uint64_t low, std::uint64_t high,
                      std::uint64_t otherwise) {
    const std::optional<std::uint64_t> size = object.get(name).counter();
    return size ? std::clamp(*size, low, high) : otherwise;
}

Json rule_fields(const core::ChannelRule& rule) {
    Json match = Json::object();
    for (const auto& [name, wanted] : rule.match) {
        Json& field = match[name];
        std::visit([&field](const auto& value) { field = value; }, wanted);
    }
    return Json{{"match", std::move(match)}, {"incr", rule.incr},   {"by", rule.by},
                {"set", rule.set},           {"value", rule.value}, {"publish", rule.publish},
                {"forward", rule.forward},   {"log", rule.log},     {"broadcast", rule.broadcast}};
}

core::ChannelRule read_rule(const Json& object) {
    core::ChannelRule rule;
    for (const auto& [name, value] : object.get("match").fields()) {
        if (const std::string* const text = value.text()) {
            rule.match[name] = *text;
        } else if (const auto boolean = value.boolean()) {
            rule.match[name] = *boolean;
        } else if (const auto integer = value.integer()) {
            rule.match[name] = *integer;
        } else if (const auto real = value.real()) {
            rule.match[name] = *real;
        }
    }
    rule.incr = object.text_of("incr").value_or("");
    rule.by = object.text_of("by").value_or("");
    rule.set = object.text_of("set").value_or("");
    rule.value = object.text_of("value").value_or("");
    rule.publish = object.text_of("publish").value_or("");
    rule.forward = object.text_of("forward").value_or("");
    rule.log = object.get("log").boolean() == true;
    rule.broadcast = object.text_of("broadcast").value_or("");
    return rule;
}

}  // namespace

Json channel_fields(const core::ChannelSpec& spec) {
    Json rules = Json::array();
    for (const core::ChannelRule& rule : spec.rules) rules.push_back(rule_fields(rule));
    return Json{{"max_line", spec.max_line},
                {"max_queue", spec.max_queue},
                {"disconnects", spec.slow_reader == core::SlowReader::disconnect},
                {"request_timeout_ns", spec.request_timeout.count()},
                {"rules", std::move(rules)}};
}

core::ChannelSpec read_channel_fields(const Json& object) {
    using Spec = core::ChannelSpec;
    Spec spec;
    spec.max_line = size_of(object, "max_line", Spec::kMinLine, Spec::kMaxLine, spec.max_line);
    spec.max_queue =
        size_of(object, "max_queue", 2 * spec.max_line, Spec::kMaxQueue, spec.max_queue);
    if (object.get("disconnects").boolean() == true)
        spec.slow_reader = core::SlowReader::disconnect;
    constexpr std::uint64_t kYear = std::uint64_t{365} * 24 * 3600 * 1'000'000'000;
    spec.request_timeout = Duration{static_cast<std::int64_t>(
        size_of(object, "request_timeout_ns", 1'000'000, kYear,
                static_cast<std::uint64_t>(spec.request_timeout.count())))};
    for (const Json& rule : object.get("rules").elements()) {
        if (rule.is_object()) spec.rules.push_back(read_rule(rule));
    }
    return spec;
}

}  // namespace cluster::supervisor
