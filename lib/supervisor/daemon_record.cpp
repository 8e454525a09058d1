// The record of the daemon itself as text: for a successor, and for the next daemon (STATE.md).
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "ctl/spec_json.hpp"
#include "json/text.hpp"
#include "supervisor/channel_text.hpp"
#include "supervisor/records.hpp"

namespace cluster::supervisor {
namespace {

using json::Json;

}  // namespace

std::string render_daemon(const DaemonRecord& record) {
    Json stores = Json::array();
    for (const core::StoreSpec& store : record.stores) stores.push_back(ctl::store_fields(store));
    Json object{{"log_dir", record.log_dir},
                {"log_level", record.spec.log_level},
                {"parallel_starts", record.spec.parallel_starts},
                {"channel", channel_fields(record.channel)},
                {"stores", std::move(stores)}};
    if (record.spec.log_dir) object["configured_log_dir"] = *record.spec.log_dir;
    if (record.config) object["config"] = *record.config;
    if (record.is_remembered) object["is_remembered"] = true;
    return dump_line(object);
}

DaemonRecord parse_daemon(const std::string& text) {
    return read_daemon(json::parse(text, kRecordBounds).value_or(Json()));
}

DaemonRecord read_daemon(const Json& object) {
    DaemonRecord record;
    record.spec.log_dir = object.text_of("configured_log_dir");
    record.spec.log_level = object.text_of("log_level").value_or(record.spec.log_level);
    if (const auto count = object.get("parallel_starts").counter()) {
        record.spec.parallel_starts = static_cast<std::uint32_t>(*count);
    }
    record.channel = read_channel_fields(object.get("channel"));
    record.log_dir = object.text_of("log_dir").value_or("");
    record.config = object.text_of("config");
    record.is_remembered = object.get("is_remembered").boolean() == true;
    for (const Json& entry : object.get("stores").elements()) {
        // Each keeps its place: segments in custody are named by it.
        record.stores.push_back(ctl::read_store(entry).value_or(core::StoreSpec{}));
    }
    return record;
}

}  // namespace cluster::supervisor
