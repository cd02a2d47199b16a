//! Events of networks: two services publish two sets of them, with shapes of their own.

use cim_domain_nix::MessageId;
use cim_domain_nix::headers::Headers;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Foreign, ForeignEvent, More, id, moment, text};

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident $(($type:ty))?),* $(,)? })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
            pub enum $name {
                $($(#[$of])* $variant $(($type))?,)*
                /// Something that is not known here.
                #[serde(untagged)]
                Unknown(Value),
            }
        )*
    };
}

words! {
    /// What kind of machine a node is.
    NodeKind {
        /// A server.
        Server,
        /// A workstation.
        Workstation,
        /// A router.
        Router,
        /// A gateway.
        Gateway,
        /// An access point.
        AccessPoint,
        /// A thing.
        IoTDevice,
        /// A container.
        Container,
        /// A virtual machine.
        VirtualMachine,
    }
    /// Where a node stands.
    Tier {
        /// At the edge.
        Client,
        /// A leaf.
        Leaf,
        /// In a cluster.
        Cluster,
        /// In a cluster of clusters.
        SuperCluster,
    }
    /// What kind of interface it is.
    InterfaceKind {
        /// Ethernet.
        Ethernet,
        /// Wireless.
        Wifi,
        /// A bridge.
        Bridge,
        /// A virtual network.
        Vlan,
        /// A tunnel.
        Wireguard,
        /// The machine itself.
        Loopback,
        /// Virtual.
        Virtual,
    }
    /// What kind of network two nodes share.
    NetworkKind {
        /// Ethernet.
        Ethernet,
        /// Wireless.
        Wifi,
        /// A bridge.
        Bridge,
        /// A virtual network with its number.
        Vlan(u16),
        /// A tunnel.
        Wireguard,
        /// Another one, by its name.
        Other(String),
    }
    /// What kind of connection it is.
    ConnectionKind {
        /// Ethernet.
        Ethernet,
        /// Wireless.
        Wifi,
        /// A tunnel.
        Vpn,
        /// Virtual.
        Virtual,
    }
    /// What was done.
    Change {
        /// It is new.
        Added,
        /// It is gone.
        Removed,
        /// It is another.
        Updated,
    }
    /// Which way.
    Direction {
        /// Towards the node.
        Inbound,
        /// Away from it.
        Outbound,
    }
    /// What a rule does.
    Action {
        /// It lets pass.
        Allow,
        /// It does not.
        Deny,
    }
}

macro_rules! shapes {
    ($($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $field:ident: $type:ty),* $(,)? })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
            pub struct $name {
                $($(#[$of])* pub $field: $type,)*
                /// What else there is.
                #[serde(flatten)]
                pub more: More,
            }
        )*
    };
}

shapes! {
    /// An address; `""` or `dhcp` where the network gives one.
    Address {
        /// The address.
        address: String,
        /// The length of the network's prefix.
        prefix_length: u8,
        /// Whether the network gives it.
        dhcp: bool,
    }
    /// An interface of a node.
    Interface {
        /// Its name.
        name: String,
        /// Its hardware address.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mac_address: Option<String>,
        /// Its kind.
        interface_type: InterfaceKind,
        /// Its addresses.
        #[serde(default)]
        addresses: Vec<Address>,
        /// The largest packet.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mtu: Option<u32>,
        /// The number of its virtual network.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        vlan_id: Option<u16>,
        /// What a bridge joins.
        #[serde(default)]
        bridge_members: Vec<String>,
    }
    /// A machine.
    Node {
        /// Its id.
        id: String,
        /// Its name.
        name: String,
        /// Its kind.
        node_type: NodeKind,
        /// Where it stands, in the second set.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tier: Option<Tier>,
        /// Its interfaces.
        #[serde(default)]
        interfaces: Vec<Interface>,
        /// What it serves.
        #[serde(default)]
        services: Vec<String>,
        /// What is said of it.
        #[serde(default)]
        metadata: More,
    }
    /// Two interfaces that are joined.
    Link {
        /// One node.
        from_node: String,
        /// Its interface.
        from_interface: String,
        /// The other node.
        to_node: String,
        /// Its interface.
        to_interface: String,
        /// By what.
        network_type: NetworkKind,
    }
    /// A network as a whole.
    Topology {
        /// Its id.
        topology_id: String,
        /// Its name.
        name: String,
        /// Its machines.
        #[serde(default)]
        nodes: Vec<Node>,
        /// What joins them.
        #[serde(default)]
        connections: Vec<Link>,
        /// When.
        timestamp: String,
    }
    /// An interface came, went or changed.
    InterfaceChange {
        /// The node.
        node_id: String,
        /// The interface.
        interface: Interface,
        /// What was done.
        change_type: Change,
        /// When.
        timestamp: String,
    }
    /// A way to a network.
    Route {
        /// The network.
        destination: String,
        /// Through whom.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gateway: Option<String>,
        /// Through what.
        interface: String,
        /// How far it is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        metric: Option<u32>,
    }
    /// A route came or went.
    RouteChange {
        /// The node.
        node_id: String,
        /// The route.
        route: Route,
        /// What was done.
        change_type: Change,
        /// When.
        timestamp: String,
    }
    /// A rule of a firewall.
    FirewallRule {
        /// Its name.
        name: String,
        /// Which way.
        direction: Direction,
        /// The protocol.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        protocol: Option<String>,
        /// From where.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        source: Option<String>,
        /// To where.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        destination: Option<String>,
        /// Ports, in whatever form they are written.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ports: Option<Value>,
        /// What it does.
        action: Action,
    }
    /// A rule came or went.
    FirewallRuleChange {
        /// The node.
        node_id: String,
        /// The rule.
        rule: FirewallRule,
        /// What was done.
        change_type: Change,
        /// When.
        timestamp: String,
    }
    /// How good a connection is.
    ConnectionProperties {
        /// How much passes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bandwidth: Option<Value>,
        /// How long it takes.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        latency: Option<Value>,
        /// Whether there is a second one.
        #[serde(default)]
        redundant: bool,
        /// Numbers of virtual networks.
        #[serde(default)]
        vlan_tags: Vec<u16>,
    }
    /// Two nodes that are joined, in the second set.
    LinkEnds {
        /// One node.
        from_node: String,
        /// The other node.
        to_node: String,
        /// By what.
        connection_type: ConnectionKind,
        /// How good it is.
        properties: ConnectionProperties,
    }
    /// A node came or went: `node` has it, or `node_id` names it.
    NodeChange {
        /// The network.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        topology_id: Option<String>,
        /// The node that came.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node: Option<Node>,
        /// The node that went.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node_id: Option<String>,
        /// The conversation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        correlation_id: Option<MessageId>,
        /// What caused it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        causation_id: Option<MessageId>,
    }
    /// A connection came or went.
    LinkChange {
        /// The network.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        topology_id: Option<String>,
        /// The connection.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        connection: Option<LinkEnds>,
        /// The conversation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        correlation_id: Option<MessageId>,
        /// What caused it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        causation_id: Option<MessageId>,
    }
    /// A node has another configuration.
    NodeConfigured {
        /// The node.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        node_id: Option<String>,
        /// The conversation.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        correlation_id: Option<MessageId>,
        /// What caused it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        causation_id: Option<MessageId>,
    }
}

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident { $($(#[$of:meta])* $variant:ident($type:ty) $pattern:literal),* $(,)? })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, PartialEq, Debug, Serialize)]
            #[serde(untagged)]
            pub enum $name {
                $($(#[$of])* $variant($type),)*
            }

            impl $name {
                /// Reads the event on `subject`: its type, and what it says where that has its shape.
                fn read(subject: &str, value: &Value) -> Option<(&'static str, Option<Self>)> {
                    $(
                        if is_like(subject, $pattern) {
                            let event = serde_json::from_value(value.clone()).ok();
                            return Some((stringify!($variant), event.map(Self::$variant)));
                        }
                    )*
                    None
                }
            }
        )*
    };
}

events! {
    /// What happened to a network, in the first set.
    NetworkEvent {
        /// A network is there.
        TopologyCreated(Topology) "network.topology.created",
        /// A network is another.
        TopologyUpdated(Topology) "network.topology.updated",
        /// A node has an interface more.
        InterfaceAdded(InterfaceChange) "network.interface.added",
        /// A node has an interface less.
        InterfaceRemoved(InterfaceChange) "network.interface.removed",
        /// An interface is another.
        InterfaceUpdated(InterfaceChange) "network.interface.updated",
        /// A node knows a way more.
        RouteAdded(RouteChange) "network.route.added",
        /// A node knows a way less.
        RouteRemoved(RouteChange) "network.route.removed",
        /// A node has a rule more.
        FirewallRuleAdded(FirewallRuleChange) "network.firewall.rule.added",
        /// A node has a rule less.
        FirewallRuleRemoved(FirewallRuleChange) "network.firewall.rule.removed",
    }
    /// What happened to a network, in the second set.
    TopologyEvent {
        /// A network is there.
        NetworkTopologyCreated(Topology) "cim.network.topology.*.created",
        /// A network has a node more.
        NodeAdded(NodeChange) "cim.network.topology.*.node.added",
        /// A network has a node less.
        NodeRemoved(NodeChange) "cim.network.topology.*.node.removed",
        /// Two nodes are joined.
        ConnectionCreated(LinkChange) "cim.network.topology.*.connection.created",
        /// Two nodes are not joined any more.
        ConnectionRemoved(LinkChange) "cim.network.topology.*.connection.removed",
        /// A node has another configuration.
        NodeConfigurationUpdated(NodeConfigured) "cim.network.node.*.configuration.updated",
    }
}

/// Whether a subject has the tokens of a pattern, `*` for any.
fn is_like(subject: &str, pattern: &str) -> bool {
    subject.split('.').count() == pattern.split('.').count()
        && subject.split('.').zip(pattern.split('.')).all(|(token, of)| of == "*" || token == of)
}

/// Reads an event of either set.
pub(super) fn read(subject: &str, headers: &Headers, value: Value) -> ForeignEvent {
    let of_first = NetworkEvent::read(subject, &value)
        .map(|(name, event)| (name, event.map(Foreign::Network)));
    let known = of_first.or_else(|| {
        TopologyEvent::read(subject, &value)
            .map(|(name, event)| (name, event.map(Foreign::Topology)))
    });
    let (name, event) = known.map_or((None, None), |(name, event)| (Some(name), event));
    let event_type = headers
        .event_type
        .clone()
        .or_else(|| name.map(str::to_owned))
        .unwrap_or_else(|| subject.to_owned());
    // The second set names the thing in the subject.
    let mut tokens = subject.split('.').skip(3);
    let in_subject = subject.starts_with("cim.network.").then(|| tokens.next()).flatten();
    let about = text(&value, &["topology_id", "node_id"]).or_else(|| in_subject.map(str::to_owned));
    let at = headers.timestamp.or_else(|| moment(&value, &["timestamp", "occurred_at"]));
    let identity = headers.identity().or_else(|| {
        let mut inside = headers.clone();
        inside.correlation_id = inside.correlation_id.or_else(|| id(&value, "correlation_id"));
        inside.causation_id = inside.causation_id.or_else(|| id(&value, "causation_id"));
        id(&value, "event_id").map(|id| inside.identity_of(id))
    });
    let event = event.unwrap_or(Foreign::Other(value));
    ForeignEvent { domain: "network", event_type, event, identity, at, about }
}
