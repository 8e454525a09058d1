#include "supervisor/channel_text.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <variant>

namespace cluster::supervisor {
namespace {

using Json = nlohmann::json;

std::string text_of(const Json& json, const char* name) {
    const auto found = json.find(name);
    return found != json.end() && found->is_string() ? found->get<std::string>() : std::string{};
}

std::uint64_t size_of(const Json& json, const char* name, std::uint64_t low, std::uint64_t high,
                      std::uint64_t otherwise) {
    const auto found = json.find(name);
    if (found == json.end() || !found->is_number_unsigned()) return otherwise;
    return std::clamp(found->get<std::uint64_t>(), low, high);
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

core::ChannelRule read_rule(const Json& json) {
    core::ChannelRule rule;
    if (const auto match = json.find("match"); match != json.end() && match->is_object()) {
        for (const auto& [name, value] : match->items()) {
            if (value.is_string()) rule.match[name] = value.get<std::string>();
            if (value.is_boolean()) rule.match[name] = value.get<bool>();
            if (value.is_number_integer()) rule.match[name] = value.get<std::int64_t>();
            if (value.is_number_float()) rule.match[name] = value.get<double>();
        }
    }
    rule.incr = text_of(json, "incr");
    rule.by = text_of(json, "by");
    rule.set = text_of(json, "set");
    rule.value = text_of(json, "value");
    rule.publish = text_of(json, "publish");
    rule.forward = text_of(json, "forward");
    rule.log = json.value("log", Json{}) == true;
    rule.broadcast = text_of(json, "broadcast");
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

core::ChannelSpec read_channel_fields(const Json& json) {
    using Spec = core::ChannelSpec;
    Spec spec;
    if (!json.is_object()) return spec;
    spec.max_line = size_of(json, "max_line", Spec::kMinLine, Spec::kMaxLine, spec.max_line);
    spec.max_queue = size_of(json, "max_queue", 2 * spec.max_line, Spec::kMaxQueue, spec.max_queue);
    if (json.value("disconnects", Json{}) == true) spec.slow_reader = core::SlowReader::disconnect;
    constexpr std::uint64_t kYear = std::uint64_t{365} * 24 * 3600 * 1'000'000'000;
    spec.request_timeout = Duration{static_cast<std::int64_t>(
        size_of(json, "request_timeout_ns", 1'000'000, kYear,
                static_cast<std::uint64_t>(spec.request_timeout.count())))};
    if (const auto rules = json.find("rules"); rules != json.end() && rules->is_array()) {
        for (const Json& rule : *rules) {
            if (rule.is_object()) spec.rules.push_back(read_rule(rule));
        }
    }
    return spec;
}

}  // namespace cluster::supervisor
