// The record of the daemon itself as text: for a successor, and for the next daemon (STATE.md).
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "ctl/spec_json.hpp"
#include "supervisor/channel_text.hpp"
#include "supervisor/records.hpp"

namespace cluster::supervisor {
namespace {

std::optional<std::string> text_field(const nlohmann::json& json, const char* name) {
    const auto found = json.find(name);
    if (found == json.end() || !found->is_string()) return std::nullopt;
    return found->get<std::string>();
}

}  // namespace

std::string render_daemon(const DaemonRecord& record) {
    nlohmann::json json{{"log_dir", record.log_dir},
                        {"log_level", record.spec.log_level},
                        {"parallel_starts", record.spec.parallel_starts},
                        {"channel", channel_fields(record.channel)}};
    if (record.spec.log_dir) json["configured_log_dir"] = *record.spec.log_dir;
    if (record.config) json["config"] = *record.config;
    if (record.is_remembered) json["is_remembered"] = true;
    json["stores"] = nlohmann::json::array();
    for (const core::StoreSpec& store : record.stores) {
        json["stores"].push_back(nlohmann::json::parse(ctl::render_store(store)));
    }
    return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

DaemonRecord parse_daemon(const std::string& text) {
    const auto json = nlohmann::json::parse(text, nullptr, false);
    DaemonRecord record;
    if (!json.is_object()) return record;
    record.spec.log_dir = text_field(json, "configured_log_dir");
    record.spec.log_level = text_field(json, "log_level").value_or(record.spec.log_level);
    if (const auto count = json.find("parallel_starts");
        count != json.end() && count->is_number_unsigned()) {
        record.spec.parallel_starts = count->get<std::uint32_t>();
    }
    if (const auto channel = json.find("channel"); channel != json.end()) {
        record.channel = read_channel_fields(*channel);
    }
    record.log_dir = text_field(json, "log_dir").value_or("");
    record.config = text_field(json, "config");
    record.is_remembered = json.value("is_remembered", nlohmann::json{}) == true;
    if (const auto stores = json.find("stores"); stores != json.end() && stores->is_array()) {
        for (const nlohmann::json& entry : *stores) {
            // Each keeps its place: segments in custody are named by it.
            record.stores.push_back(ctl::parse_store(entry.dump()).value_or(core::StoreSpec{}));
        }
    }
    return record;
}

}  // namespace cluster::supervisor
