// Internet addresses as bits, for audiences by network.

// True where the network, `address/length`, contains the address. IPv4 addresses written as IPv6 are IPv4.
export function contains(network, address) {
  const parts = network.split('/');
  const net = bits(parts[0]);
  const client = bits(address).replace(/^0{80}1{16}/, '');
  return net.length === client.length && net.slice(0, +parts[1]) === client.slice(0, +parts[1]);
}

// 32 zeros and ones of IPv4, 128 of IPv6.
function bits(text) {
  if (text.indexOf(':') < 0) return text.split('.').map((byte) => binary(+byte, 8)).join('');
  const halves = text.split('::').map((half) =>
    // An IPv4 address may stand at the end.
    half.split(':').map((group) => (/\./.test(group) ? bits(group) : group && binary(parseInt(group, 16), 16))).join(''),
  );
  const tail = halves[1] || '';
  return halves[0] + '0'.repeat(128 - halves[0].length - tail.length) + tail;
}

function binary(number, digits) {
  return (number + Math.pow(2, digits)).toString(2).slice(1);
}
