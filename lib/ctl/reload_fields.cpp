#include "ctl/reload_fields.hpp"

namespace cluster::ctl {
namespace {

using core::ReloadSpec;

constexpr int kLastSignal = 64;

const char* mode_word(ReloadSpec::Mode mode) {
    switch (mode) {
        case ReloadSpec::Mode::automatic:
            return "auto";
        case ReloadSpec::Mode::overlap:
            return "overlap";
        case ReloadSpec::Mode::stop_first:
            return "stop-first";
    }
    return "auto";
}

ReloadSpec::Mode read_mode(FieldReader& fields) {
    const std::string word = fields.text("mode");
    for (const auto mode :
         {ReloadSpec::Mode::automatic, ReloadSpec::Mode::overlap, ReloadSpec::Mode::stop_first}) {
        if (word == mode_word(mode)) return mode;
    }
    throw FieldError(fields.path("mode") + ": expected \"auto\", \"overlap\" or \"stop-first\"");
}

}  // namespace

Json reload_fields(const ReloadSpec& reload) {
    return Json{{"mode", mode_word(reload.mode)},
                {"batch", reload.batch},
                {"surge", reload.surge},
                {"signal", reload.signal}};
}

ReloadSpec read_reload(const Json& value, const std::string& spec) {
    FieldReader fields(value, spec + ".reload");
    const auto count = [&](const char* name) {
        return static_cast<std::uint32_t>(fields.integer(name, 1, ReloadSpec::kMaxAtOnce));
    };
    ReloadSpec reload;
    reload.mode = read_mode(fields);
    reload.batch = count("batch");
    reload.surge = count("surge");
    reload.signal = static_cast<int>(fields.integer("signal", 0, kLastSignal));
    fields.finish();
    return reload;
}

}  // namespace cluster::ctl
