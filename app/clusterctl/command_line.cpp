#include "clusterctl/command_line.hpp"

#include <algorithm>
#include <string_view>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "clusterctl/failure.hpp"
#include "clusterctl/view/words.hpp"
#include "ctl/nearest.hpp"

namespace cluster::clusterctl {
namespace {

const std::vector<std::string_view> kValueOptions = {"--runtime-dir"};

/// The library's help with our own first line.
class HelpFormatter final : public CLI::Formatter {
public:
    explicit HelpFormatter(std::string usage) : usage_(std::move(usage)) {}
    std::string make_usage(const CLI::App* /*app*/, std::string /*name*/) const override {
        return usage_;
    }

private:
    std::string usage_;
};

/// CLI11 takes "[1,2]" apart where several words may stand; with this in front it is a word, such as
/// a list of JSON.
constexpr char kWhole = '\x01';

std::string without_mark(std::string word) {
    if (!word.empty() && word.front() == kWhole) word.erase(0, 1);
    return word;
}

class Options final : public OptionSink {
public:
    explicit Options(CLI::App& app) : app_(app) {}

    void flag(const char* names, bool& target, const char* help) override {
        app_.add_flag(names, target, help);
    }
    void value(const char* names, std::string& target, const char* placeholder,
               const char* help) override {
        // Given but empty is a variable of a script that was never set, not an option left out.
        app_.add_option(names, target, help)
            ->type_name(placeholder)
            ->transform(without_mark)
            ->check([](const std::string& text) {
                return text.empty() ? std::string("expected a value, got \"\"") : std::string();
            });
    }
    void values(const char* names, std::vector<std::string>& target, const char* placeholder,
                const char* help) override {
        // One value each time: "--env A=1 api" must not swallow the word behind it.
        app_.add_option(names, target, help)
            ->type_name(placeholder)
            ->transform(without_mark)
            ->expected(1)
            ->take_all()
            ->allow_extra_args(false);
    }
    void words(const char* placeholder, std::vector<std::string>& target,
               const char* help) override {
        app_.add_option(placeholder, target, help)->type_name("");
        words_ = &target;
    }
    void command(std::optional<std::vector<std::string>>& target) override { command_ = &target; }

    /// Hands out what stood behind "--".
    void take_tail(const SplitArguments& split) const {
        if (words_ != nullptr) {
            for (std::string& word : *words_) word = without_mark(std::move(word));
        }
        if (!split.has_separator) return;
        if (command_ != nullptr) {
            *command_ = split.tail;
        } else if (words_ != nullptr) {
            words_->insert(words_->end(), split.tail.begin(), split.tail.end());
        } else if (!split.tail.empty()) {
            throw usage_failure("unexpected argument \"" + split.tail.front() + "\"");
        }
    }

private:
    CLI::App& app_;
    std::vector<std::string>* words_ = nullptr;
    std::optional<std::vector<std::string>>* command_ = nullptr;
};

std::string general_help(const std::vector<std::unique_ptr<Verb>>& verbs) {
    std::string text =
        "clusterctl runs, restarts and steers workers. Usage: clusterctl VERB [options]\n\n";
    for (const std::unique_ptr<Verb>& verb : verbs) {
        const VerbInfo info = verb->info();
        if (info.is_hidden) continue;
        text += fmt::format("  {:<9} {}\n", info.name, info.summary);
    }
    return text +
           "\nA SELECTOR is a worker (api), an instance (api.0), a group (@site), a glob (api*) or "
           "all.\n"
           "Every verb takes --json and --runtime-dir DIR. More: clusterctl VERB --help, man "
           "clusterctl\n";
}

bool is_named(const VerbInfo& info, std::string_view name) {
    return name == info.name ||
           std::find(info.aliases.begin(), info.aliases.end(), name) != info.aliases.end();
}

std::unique_ptr<Verb> find_verb(std::vector<std::unique_ptr<Verb>>& verbs,
                                const std::string& name) {
    std::vector<std::string_view> names;
    for (std::unique_ptr<Verb>& verb : verbs) {
        const VerbInfo info = verb->info();
        if (is_named(info, name)) return std::move(verb);
        if (info.is_hidden) continue;
        names.emplace_back(info.name);
        names.insert(names.end(), info.aliases.begin(), info.aliases.end());
    }
    throw usage_failure("unknown verb \"" + name + "\"" + ctl::suggestion(name, names),
                        "see what there is: clusterctl --help");
}

/// The first word that looks like an option and is none of this verb's, with the nearest one that
/// is.
std::string suggest_option(const CLI::App& app, const std::vector<std::string>& words) {
    std::vector<std::string> known;
    for (const CLI::Option* option : app.get_options()) {
        for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    }
    const std::vector<std::string_view> candidates(known.begin(), known.end());
    for (const std::string& word : words) {
        const std::string option = word.substr(0, word.find('='));
        const bool is_known = std::find(known.begin(), known.end(), option) != known.end();
        if (option.rfind("--", 0) == 0 && !is_known) return ctl::suggestion(option, candidates);
    }
    return {};
}

/// Fills the verb's options from the words; the help text when that is what was asked for.
std::string parse_options(Verb& verb, SplitArguments& split, CommonOptions& common) {
    const VerbInfo info = verb.info();
    CLI::App app{info.summary, std::string("clusterctl ") + info.name};
    app.formatter(std::make_shared<HelpFormatter>(
        fmt::format("Usage: clusterctl {} {}\n", info.name, info.usage)));
    Options options(app);
    verb.declare(options);
    app.add_flag("--json", common.is_json, "Print one JSON document on stdout");
    app.add_option("--runtime-dir", common.runtime_dir, "The daemon's runtime directory")
        ->type_name("DIR");
    try {
        // The library takes its words from the back.
        std::vector<std::string> reversed(split.head.rbegin(), split.head.rend());
        for (std::string& word : reversed) {
            if (!word.empty() && word.front() == '[') word.insert(word.begin(), kWhole);
        }
        app.parse(std::move(reversed));
    } catch (const CLI::CallForHelp&) {
        return app.help();
    } catch (const CLI::ParseError& error) {
        throw usage_failure(error.what() + suggest_option(app, split.head),
                            std::string("see: clusterctl ") + info.name + " --help");
    }
    options.take_tail(split);
    return {};
}

}  // namespace

Invocation parse_command_line(const std::vector<std::string>& arguments, bool& is_json) {
    SplitArguments split = split_at_separator(arguments);
    is_json = std::find(split.head.begin(), split.head.end(), "--json") != split.head.end();
    std::vector<std::unique_ptr<Verb>> verbs = make_verbs();
    std::string name = take_verb(split.head, kValueOptions);

    const auto has_word = [&split](std::string_view word) {
        return std::find(split.head.begin(), split.head.end(), word) != split.head.end();
    };
    if (name == "help" || (name.empty() && (has_word("--help") || has_word("-h")))) {
        name = name.empty() ? name : take_verb(split.head, kValueOptions);
        if (name.empty()) return {nullptr, {}, general_help(verbs)};
        split.head = {"--help"};
    }
    if (name.empty() && has_word("--version")) name = "version";
    if (name.empty()) throw usage_failure("no verb given", general_help(verbs));

    Invocation invocation;
    invocation.verb = find_verb(verbs, name);
    if (name == "version") std::erase(split.head, "--version");
    invocation.text = parse_options(*invocation.verb, split, invocation.options);
    if (!invocation.text.empty()) invocation.verb.reset();
    return invocation;
}

}  // namespace cluster::clusterctl
