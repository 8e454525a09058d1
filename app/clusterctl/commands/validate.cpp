// clusterctl validate: reads config files as the daemon would, without a daemon, and shows every
// mistake at once.
#include <fmt/format.h>

#include "clusterctl/config_file.hpp"
#include "clusterctl/failure.hpp"
#include "clusterctl/verb.hpp"
#include "clusterctl/view/format.hpp"
#include "ctl/documents.hpp"

namespace cluster::clusterctl {
namespace {

/// One file's verdict, for people on stderr and as a record. What cannot be read is a mistake like
/// any other.
ctl::Validation validate(const std::string& name) {
    ctl::Validation result;
    result.file = name;
    const ConfigFile file = read_config(name, std::vector<std::string>{});
    if (!file.unreadable.empty()) {
        result.diagnostics.push_back(file.unreadable);
        print_error("clusterctl: " + file.unreadable + "\n");
    } else if (!file.config) {
        result.diagnostics = file.diagnostics;
        for (const std::string& diagnostic : file.diagnostics) print_error(diagnostic);
        print_error(count_of(file.diagnostics.size(), "mistake") + " in " + name + "\n");
    } else {
        result.workers = static_cast<std::uint32_t>(file.config->workers.size());
        for (const core::WorkerSpec& worker : file.config->workers) {
            result.instances += worker.instances;
        }
    }
    return result;
}

class ValidateVerb final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "validate",
                .aliases = {"check"},
                .usage = "FILE…",
                .summary = "Check config files; needs no daemon"};
    }
    void declare(OptionSink& options) override {
        options.words("FILE", files_, "Config files; - reads stdin");
    }
    [[nodiscard]] int run(Session& session) override {
        if (files_.empty()) {
            throw usage_failure("say which file", "for example: clusterctl validate cluster.toml");
        }
        int exit_code = kDone;
        std::vector<ctl::Validation> results;
        for (const std::string& name : files_) {
            results.push_back(validate(name));
            const ctl::Validation& result = results.back();
            if (!result.diagnostics.empty()) {
                exit_code = kUsage;
            } else if (!session.options().is_json) {
                print(fmt::format("{}: {}, {}: ok\n", name, count_of(result.workers, "worker"),
                                  count_of(result.instances, "instance")));
            }
        }
        if (session.options().is_json) print(ctl::validation_document(results));
        return exit_code;
    }

private:
    std::vector<std::string> files_;
};

}  // namespace

std::unique_ptr<Verb> make_validate() {
    return std::make_unique<ValidateVerb>();
}

}  // namespace cluster::clusterctl
