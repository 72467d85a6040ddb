use super::*;
use serde_json::json;

fn node() -> Value {
    json!({
        "metadata": {"labels": {"topology.kubernetes.io/zone": "a"}, "annotations": {"example.com/disk": "ok"}},
        "spec": {"taints": [{"key": "x", "effect": "NoSchedule"}], "unschedulable": false},
        "status": {
            "conditions": [{"type": "Ready", "status": "True"}, {"type": "DiskPressure", "status": "False"}],
            "allocatable": {"cpu": "4"}, "capacity": {"cpu": "4"},
            "nodeInfo": {"kernelVersion": "6.1", "swap": {"capacity": 7}},
        },
    })
}

#[test]
fn what_is_kept_can_be_asked_for() {
    for (path, answers) in [
        ("$.status.conditions[?@.type=='DiskPressure'].status", vec!["False"]),
        ("$.status.conditions[?(@.type==\"Ready\")].status", vec!["True"]),
        ("$.status.conditions[ ? ( @.type == 'Ready' && @.status != 'False' ) ].status", vec!["True"]),
        ("$.status.conditions[?@.type=='Ready' || 'DiskPressure'==@['type']].status", vec!["True", "False"]),
        ("$.status.conditions[?@.reason].status", vec![]),
        ("$.status.conditions[?!@.reason].status", vec!["True", "False"]),
        ("$.status.conditions[?(! @.reason)].type", vec!["Ready", "DiskPressure"]),
        ("$.status.conditions[*].type", vec!["Ready", "DiskPressure"]),
        ("$.status.conditions[-1].type", vec!["DiskPressure"]),
        ("$.status.nodeInfo[?@.capacity >= 7].capacity", vec!["7"]),
        ("$['status']['nodeInfo']['kernelVersion']", vec!["6.1"]),
        ("$.metadata.labels['topology.kubernetes.io/zone']", vec!["a"]),
        ("$.metadata.labels.*", vec!["a"]),
        ("$.metadata.labels[?@=='a']", vec!["a"]),
        ("$.metadata.annotations[\"example.com/disk\"]", vec!["ok"]),
        ("$.spec.unschedulable", vec!["false"]),
        ("$.spec.taints[?@.key == 'x' && @.effect == 'NoSchedule'].key", vec!["x"]),
        ("$.status.allocatable.gpu", vec![]),
    ] {
        let read = NodePath::parse(path).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(read.answers(&node()), answers, "{path}");
    }
}

#[test]
fn what_is_not_kept_can_not() {
    for path in [
        "$",
        "$.*",
        "$.status",
        "$.status.*",
        "$.status.images[0]",
        "$.status.addresses",
        "$.kind",
        "$.metadata.managedFields[0].manager",
        "$.metadata",
        "$.spec",
        "$['status']['images']",
        "$['status'][?@.type]",
    ] {
        assert_eq!(NodePath::parse(path), Err(InvalidNodePath::OutOfReach(path.to_owned())), "{path}");
    }
}

#[test]
fn what_costs_too_much_is_refused_by_name() {
    let steps = format!("$.status.conditions{}", ".a".repeat(7));
    let conditions = format!("$.status.conditions[?{}]", ["@.a"; 9].join(" || "));
    for (path, construct) in [
        ("$..status", Unsupported::Descendants),
        ("$.status.conditions..type", Unsupported::Descendants),
        ("$['status','spec'].conditions", Unsupported::Union),
        ("$.status.conditions[0,1]", Unsupported::Union),
        ("$.status.conditions[0:2].type", Unsupported::Slice),
        ("$.spec.taints[?$.status.images]", Unsupported::RootInFilter),
        ("$.spec.taints[?@.key == $.status.phase]", Unsupported::RootInFilter),
        ("$.spec.taints[?length(@.key) > 1]", Unsupported::Function("length".to_owned())),
        ("$.status.conditions[?match(@.type, 'Disk.*')].status", Unsupported::Function("match".to_owned())),
        ("$.status.conditions[?!search(@.type,'Disk')].status", Unsupported::Function("search".to_owned())),
        ("$.status.conditions[?@[?@.a]]", Unsupported::NestedFilter),
        ("$.status.conditions[?@.*]", Unsupported::WildcardInFilter),
        ("$.status.conditions[?(@.a || @.b) && @.c]", Unsupported::Group),
        ("$.status.conditions[?@.c && (@.a || @.b)]", Unsupported::Group),
        ("$.status.conditions[?((@.a))]", Unsupported::Group),
        ("$.status.conditions[?!(@.a == 'b')]", Unsupported::Group),
        ("$.metadata.labels['it\\'s']", Unsupported::Escape),
        ("$.metadata.labels['ä']", Unsupported::Character('ä')),
        ("$.status.conditions[?@.a\t== 'b']", Unsupported::Character('\t')),
        (&steps, Unsupported::Steps),
        (&conditions, Unsupported::Conditions),
    ] {
        let refused = InvalidNodePath::Unsupported { text: path.to_owned(), construct };
        assert_eq!(NodePath::parse(path), Err(refused), "{path}");
    }
}

#[test]
fn kubectls_form_is_refused_with_ours() {
    for (path, right) in [
        ("{.status.nodeInfo.kernelVersion}", "$.status.nodeInfo.kernelVersion"),
        (".spec.unschedulable", "$.spec.unschedulable"),
        ("{.status.conditions[?(@.type==\"Ready\")].status}", "$.status.conditions[?(@.type==\"Ready\")].status"),
        ("spec.unschedulable", "$.spec.unschedulable"),
        ("{$.spec.unschedulable}", "$.spec.unschedulable"),
    ] {
        let error = NodePath::parse(path).unwrap_err();
        assert!(matches!(&error, InvalidNodePath::KubectlForm { instead, .. } if instead == right), "{error}");
        assert!(NodePath::parse(right).is_ok(), "{right}");
    }
}

#[test]
fn what_is_no_path_is_refused() {
    for path in [
        "$.",
        "$.status.conditions[",
        "$.status.conditions[?@.type=]",
        "$.status.conditions[?@.type='a']",
        "$.status.conditions[?(@.type=='a']",
        "$.status.conditions[?@.type=='a')]",
        "$.status.conditions[?@.a &&]",
        "$.status.conditions[?@.a @.b]",
        "$.status.conditions[?!'a']",
        "$.metadata.labels.a-b",
        "$x",
        "$.status.conditions[?@.type=='a'",
    ] {
        assert_eq!(NodePath::parse(path), Err(InvalidNodePath::Syntax(path.to_owned())), "{path}");
    }
}

/// Each took the library from half a minute to for ever before the subset.
#[test]
fn nested_functions_and_filters_are_refused_at_once() {
    let functions = format!("$.status.conditions[?{}@.a{}]", "length(".repeat(60), ")".repeat(60));
    let filters = format!("$.status.conditions{}@.a{}", "[?@".repeat(15), "]".repeat(15));
    let unclosed = format!("$[?{}", "length(".repeat(14));
    let bangs = format!("$[?{}@.a]", "!(".repeat(90));
    for path in [functions, filters, unclosed, bangs] {
        let started = std::time::Instant::now();
        let refused = NodePath::parse(&path).unwrap_err();
        assert!(matches!(refused, InvalidNodePath::Unsupported { .. }), "{refused}");
        assert!(started.elapsed().as_secs() < 5, "{path}");
    }
}

#[test]
fn samples_and_questions_that_people_ask_are_within() {
    for path in [
        "$.status.conditions[?@.type==\"KernelDeadlock\"].status",
        "$.status.conditions[?(@.type=='ReadonlyFilesystem')].status",
        "$.status.allocatable['nvidia.com/gpu']",
        "$.metadata.annotations['example.com/certified']",
        "$.spec.taints[?@.key=='node.example.com/broken'].effect",
        "$.status.nodeInfo.kubeletVersion",
        "$.status.conditions[?(@.type=='MemoryPressure' || @.type=='DiskPressure' || @.type=='PIDPressure')].status",
    ] {
        assert!(NodePath::parse(path).is_ok(), "{path}");
    }
}
