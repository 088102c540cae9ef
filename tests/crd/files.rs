//! `crds/` against the types.

use std::path::{Path, PathBuf};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::ResourceExt;
use provident_core::api;

/// With `UPDATE_CRDS=1` this writes the files, for whoever has no program to print them with yet.
#[test]
fn files_equal_the_types() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("crds");
    let mut expected: Vec<PathBuf> = Vec::new();
    for crd in api::crds() {
        let file = folder.join(api::file_name(&crd));
        let yaml = api::yaml(&crd).unwrap();
        if std::env::var_os("UPDATE_CRDS").is_some() {
            std::fs::write(&file, &yaml).unwrap();
        }
        let found = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(
            found == yaml,
            "{} is not what the types say; run `cargo run -- crd --output-dir crds` and look at the difference",
            file.display()
        );
        expected.push(file);
    }
    let mut found: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|f| f.unwrap().path())
        .collect();
    found.sort();
    expected.sort();
    assert_eq!(
        found, expected,
        "crds/ holds the definitions and nothing else"
    );
}

#[test]
fn a_definition_lacks_what_an_older_one_has_not_and_nothing_of_what_a_newer_one_has_more() {
    let all = api::crds();
    let present = all.iter().find(|crd| crd.spec.names.kind == "OAuthClient");
    let changed = |change: fn(&mut serde_json::Value)| {
        let mut crd = serde_json::to_value(present).unwrap();
        change(&mut crd["spec"]["versions"][0]);
        serde_json::from_value(crd).unwrap()
    };
    let older = changed(|version| {
        let properties = &mut version["schema"]["openAPIV3Schema"]["properties"];
        let status = properties["status"]["properties"].as_object_mut().unwrap();
        status.remove("secretHash").unwrap();
        let target = &mut properties["spec"]["properties"]["rolloutRestartTargets"]["items"];
        target["properties"].as_object_mut().unwrap().remove("kind");
    });
    let another = changed(|version| version["name"] = "v1".into());
    let unserved = changed(|version| version["served"] = false.into());
    let present = present.unwrap();
    let fields = ["spec.rolloutRestartTargets.kind", "status.secretHash"];
    assert_eq!(api::lacks(&older, present), fields);
    assert_eq!(api::lacks(present, &older), Vec::<String>::new());
    assert_eq!(api::lacks(present, present), Vec::<String>::new());
    assert_eq!(api::lacks(&another, present), ["version v1alpha1"]);
    assert_eq!(api::lacks(&unserved, present), ["version v1alpha1"]);
}

#[test]
fn the_definition_reads_back_from_its_yaml() {
    for crd in api::crds() {
        let yaml = api::yaml(&crd).unwrap();
        let read = serde_saphyr::from_str(&yaml).unwrap();
        assert_eq!(crd, read, "{}", crd.name_any());
    }
}

#[test]
fn group_and_version_are_the_constants() {
    for crd in api::crds() {
        assert_eq!(crd.spec.group, api::GROUP);
        let versions: Vec<&str> = crd.spec.versions.iter().map(|v| v.name.as_str()).collect();
        assert_eq!(versions, [api::VERSION]);
        assert_eq!(
            crd.spec.names.categories,
            Some(vec!["provident".to_owned()])
        );
    }
}

#[test]
fn every_property_is_described_and_no_namespaced_kind_refers_elsewhere() {
    for crd in api::crds() {
        let kind = &crd.spec.names.kind;
        let namespaced = crd.spec.scope == "Namespaced";
        let root = crd.spec.versions[0]
            .schema
            .as_ref()
            .unwrap()
            .open_api_v3_schema
            .as_ref()
            .unwrap();
        let mut undescribed = Vec::new();
        walk(kind, root, &mut |path, property| {
            // The API server describes metadata itself.
            let own = !path.starts_with(&format!("{kind}.metadata"));
            if own && property.description.as_deref().unwrap_or_default().len() < 10 {
                undescribed.push(path.to_owned());
            }
            assert!(
                !(namespaced && path.ends_with(".namespace")),
                "{path}: leaves its namespace"
            );
            assert_eq!(property.nullable, None, "{path}");
        });
        assert!(
            undescribed.is_empty(),
            "without description: {undescribed:#?}"
        );
    }
}

#[test]
fn every_integer_is_bounded_and_every_default_and_choice_is_described() {
    for crd in api::crds() {
        let kind = &crd.spec.names.kind;
        let version = &crd.spec.versions[0];
        let root = version.schema.as_ref().unwrap();
        let mut wrong = Vec::new();
        walk(
            kind,
            root.open_api_v3_schema.as_ref().unwrap(),
            &mut |path, property| {
                if property.type_.as_deref() == Some("integer") && property.maximum.is_none() {
                    wrong.push(format!("{path} has no maximum"));
                }
                let description = property.description.as_deref().unwrap_or_default();
                for JSON(value) in property.enum_.iter().flatten().chain(&property.default) {
                    let text = value
                        .as_str()
                        .map_or_else(|| value.to_string(), str::to_owned);
                    if !description.contains(&text) && !path.ends_with(".status") {
                        wrong.push(format!("{path} does not describe {text}"));
                    }
                }
            },
        );
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

/// Calls `visit` with the path of every property, and with that of the root.
fn walk(path: &str, schema: &JSONSchemaProps, visit: &mut impl FnMut(&str, &JSONSchemaProps)) {
    visit(path, schema);
    for (name, property) in schema.properties.iter().flatten() {
        walk(&format!("{path}.{name}"), property, visit);
    }
    // The members of a list or map have no name of their own, so only their properties are visited.
    let items = match &schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => Some(items),
        _ => None,
    };
    let values = match &schema.additional_properties {
        Some(JSONSchemaPropsOrBool::Schema(values)) => Some(values),
        _ => None,
    };
    for member in items.into_iter().chain(values) {
        for (name, property) in member.properties.iter().flatten() {
            walk(&format!("{path}[].{name}"), property, visit);
        }
    }
}
